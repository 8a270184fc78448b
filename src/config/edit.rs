//! Changing a configuration as text: comments, order and spacing of what is not changed stay.
//!
//! A monitor's own tables can be cut out of a file, changed by key or as text, and put back in their place.

use serde_json::Value as Json;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::Problem;

/// Keys of a monitor that people mean by these words.
const SHORT: [(&str, &str); 2] = [("severity", "detector.severity"), ("budget", "detector.budget")];

/// A text that is known to be TOML.
pub(super) fn document(text: &str) -> Result<DocumentMut, String> {
    text.parse::<DocumentMut>().map_err(|error| error.message().to_owned())
}

/// Whether a file holds tables of a monitor.
pub(super) fn holds(document: &DocumentMut, monitor: &str) -> bool {
    document.get("monitors").and_then(|monitors| monitors.get(monitor)).is_some()
}

/// The monitor's own tables, as written.
pub(super) fn cut(document: &DocumentMut, monitor: &str) -> Option<String> {
    let item = document.get("monitors")?.get(monitor)?.clone();
    let mut own = DocumentMut::new();
    monitors_of(&mut own)?.insert(monitor, item);
    Some(own.to_string().trim_start_matches(['\n', '\r']).to_owned())
}

/// The file without the monitor.
pub(super) fn without(document: &DocumentMut, monitor: &str) -> String {
    let mut rest = document.clone();
    if let Some(monitors) = rest.get_mut("monitors").and_then(Item::as_table_like_mut) {
        monitors.remove(monitor);
    }
    rest.to_string()
}

/// The file with other tables of a monitor in the place of its old ones, or at the end.
pub(super) fn with(document: &DocumentMut, monitor: &str, own: &DocumentMut) -> Option<String> {
    let mut changed = document.clone();
    let mut item = own.get("monitors")?.get(monitor)?.clone();
    let old = changed.get("monitors").and_then(|monitors| monitors.get(monitor)).and_then(Item::as_table);
    let place = old.and_then(Table::position);
    let gap = old.map_or(1, |old| leading_newlines(&prefix(old)));
    unplace(&mut item);
    if let Some(table) = item.as_table_mut() {
        table.set_position(place.or_else(|| Some(last_position(changed.as_table()) + 1)));
        let written = prefix(table);
        table.decor_mut().set_prefix("\n".repeat(gap) + written.trim_start_matches(['\n', '\r']));
    }
    monitors_of(&mut changed)?.insert(monitor, item);
    let mut text = changed.to_string();
    // What stands below the last table belongs to the text, too.
    let below = own.trailing().as_str().unwrap_or_default().trim_end();
    if !below.is_empty() && !text.contains(below.trim_start()) {
        text = text.trim_end().to_owned() + "\n" + below + "\n";
    }
    Some(text)
}

/// Both documents, the second below the first.
pub(super) fn appended(text: &str, more: &str) -> String {
    let above = text.trim_end();
    if above.is_empty() { more.to_owned() } else { format!("{above}\n\n{}", more.trim_start()) }
}

/// Tables that a text writes besides those that may be in it: their keys.
pub(super) fn strangers(own: &DocumentMut, monitor: &str, also: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (room, item) in own.iter() {
        if room != "monitors" {
            found.extend((!also.contains(&room)).then(|| room.to_owned()));
            continue;
        }
        let names = item.as_table_like().into_iter().flat_map(|table| table.iter());
        found.extend(names.filter(|(name, _)| *name != monitor).map(|(name, _)| format!("monitors.{name}")));
    }
    found
}

/// Sets keys of a monitor, named from its table on (`detector.severity`, `alerts.0.to`); `null` takes one out.
pub(super) fn set(own: &mut DocumentMut, monitor: &str, changes: &[(String, Json)]) -> Result<(), Problem> {
    let whole =
        |key: &str| SHORT.iter().find(|(short, _)| *short == key).map_or(key, |(_, whole)| whole).to_owned();
    for (key, value) in changes {
        let key = whole(key);
        let path: Vec<&str> = key.split('.').collect();
        let root = own.get_mut("monitors").and_then(|monitors| monitors.get_mut(monitor));
        let complain = |why: &str| Problem::new(format!("monitors.{monitor}.{key}"), why);
        let root = root.ok_or_else(|| complain("the monitor has no tables"))?;
        put(root, &path, value).map_err(|why| complain(&why))?;
        // A threshold is one of two: naming one takes the other out, unless it is named as well.
        let Some((table, last)) = key.rsplit_once('.').filter(|_| !value.is_null()) else { continue };
        let other = match last {
            "severity" => format!("{table}.budget"),
            "budget" => format!("{table}.severity"),
            _ => continue,
        };
        if !changes.iter().any(|(key, value)| whole(key) == other && !value.is_null()) {
            put(root, &other.split('.').collect::<Vec<_>>(), &Json::Null).map_err(|why| complain(&why))?;
        }
    }
    Ok(())
}

fn put(item: &mut Item, path: &[&str], value: &Json) -> Result<(), String> {
    let (key, rest) = path.split_first().ok_or("the key is empty")?;
    if key.is_empty() {
        return Err("the key has an empty part".to_owned());
    }
    if item.as_value().is_some_and(Value::is_array) && !rest.is_empty() {
        // A list of inline tables is written as tables, so that each can be changed by itself.
        let tables = std::mem::take(item).into_array_of_tables();
        *item = tables.map_or_else(|same| same, Item::ArrayOfTables);
    }
    if let Some(tables) = item.as_array_of_tables_mut() {
        let index: usize = key.parse().map_err(|_| format!("`{key}` is no number of a table"))?;
        let num_tables = tables.len();
        if index == num_tables && !value.is_null() {
            tables.push(Table::new());
        } else if index >= num_tables {
            return Err(format!("there are only {num_tables}"));
        }
        if rest.is_empty() && value.is_null() {
            tables.remove(index);
            return Ok(());
        }
        let table = tables.get_mut(index).ok_or("there is no such table")?;
        return put_in(table, rest, value);
    }
    if let Some(table) = item.as_inline_table_mut() {
        return put_inline(table, path, value);
    }
    match item.as_table_like_mut() {
        Some(table) => put_in(table, path, value),
        None => Err(format!("nothing can be set in a {}", item.type_name())),
    }
}

/// A key that comes last takes over the blank before the closing brace.
fn put_inline(table: &mut InlineTable, path: &[&str], value: &Json) -> Result<(), String> {
    let suffix = |value: &Value| value.decor().suffix().and_then(|suffix| suffix.as_str()).map(str::to_owned);
    let (before, blank) = (table.len(), table.iter().last().and_then(|(_, value)| suffix(value)));
    put_in(table, path, value)?;
    if let Some(blank) = blank.filter(|_| table.len() > before) {
        let mut values: Vec<&mut Value> = table.iter_mut().map(|(_, value)| value).collect();
        if let [.., last, new] = values.as_mut_slice() {
            last.decor_mut().set_suffix("");
            new.decor_mut().set_suffix(blank);
        }
    }
    Ok(())
}

fn put_in(table: &mut dyn TableLike, path: &[&str], value: &Json) -> Result<(), String> {
    let (key, rest) = path.split_first().ok_or("a table cannot be replaced; name a key of it")?;
    if rest.is_empty() {
        if value.is_null() {
            table.remove(key);
            return Ok(());
        }
        let mut new = written(value)?;
        if let Some(old) = table.get(key).and_then(Item::as_value) {
            *new.decor_mut() = old.decor().clone();
        }
        match table.get_mut(key) {
            Some(item) => *item = Item::Value(new),
            None => drop(table.insert(key, Item::Value(new))),
        }
        return Ok(());
    }
    if table.get(key).is_none() {
        if value.is_null() {
            return Ok(());
        }
        let is_list = rest[0].parse::<usize>().is_ok();
        let item = if is_list { toml_edit::array() } else { toml_edit::table() };
        table.insert(key, item);
    }
    let item = table.get_mut(key).ok_or("it cannot be added here")?;
    put(item, rest, value)?;
    if item.as_array_of_tables().is_some_and(toml_edit::ArrayOfTables::is_empty) {
        table.remove(key);
    }
    Ok(())
}

fn written(value: &Json) -> Result<Value, String> {
    Ok(match value {
        Json::Null => return Err("null can only take a key out".to_owned()),
        Json::Bool(value) => (*value).into(),
        Json::String(text) => text.as_str().into(),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(number)) => number.into(),
            _ => return Err(format!("`{number}` is too large")),
        },
        Json::Array(values) => Value::Array(values.iter().map(written).collect::<Result<Array, _>>()?),
        Json::Object(members) => {
            let mut table = InlineTable::new();
            for (key, value) in members {
                table.insert(key, written(value)?);
            }
            Value::InlineTable(table)
        }
    })
}

fn monitors_of(document: &mut DocumentMut) -> Option<&mut dyn TableLike> {
    let monitors = document.entry("monitors").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    monitors.as_table_like_mut()
}

fn prefix(table: &Table) -> String {
    let prefix = table.decor().prefix().and_then(|prefix| prefix.as_str());
    prefix.unwrap_or_default().to_owned()
}

fn leading_newlines(text: &str) -> usize {
    text.chars().take_while(|character| ['\n', '\r'].contains(character)).filter(|one| *one == '\n').count()
}

/// Tables keep the order in which they are written and follow the one around them.
fn unplace(item: &mut Item) {
    match item {
        Item::Table(table) => {
            table.set_position(None);
            table.iter_mut().for_each(|(_, item)| unplace(item));
        }
        Item::ArrayOfTables(tables) => {
            for table in tables.iter_mut() {
                table.set_position(None);
                table.iter_mut().for_each(|(_, item)| unplace(item));
            }
        }
        Item::None | Item::Value(_) => {}
    }
}

fn last_position(table: &Table) -> isize {
    let of_item = |item: &Item| match item {
        Item::Table(table) => last_position(table),
        Item::ArrayOfTables(tables) => tables.iter().map(last_position).max().unwrap_or(0),
        Item::None | Item::Value(_) => 0,
    };
    let within = table.iter().map(|(_, item)| of_item(item)).max().unwrap_or(0);
    within.max(table.position().unwrap_or(0))
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
