//! Rows of cells between tabs as log writers write them: nothing is quoted, so that a quote is a letter like any
//! other; and the columns of two kinds of such rows that many shops have.

use std::borrow::Cow;

use super::Format;

/// The fields of CloudFront's real-time access logs, in the order in which they always come, whichever were chosen.
/// Reference: the CloudFront developer guide, "Use real-time access logs", fields 1 to 69.
const CLOUDFRONT: [&str; 69] = [
    "timestamp",
    "c-ip",
    "s-ip",
    "time-to-first-byte",
    "sc-status",
    "sc-bytes",
    "cs-method",
    "cs-protocol",
    "cs-host",
    "cs-uri-stem",
    "cs-bytes",
    "x-edge-location",
    "x-edge-request-id",
    "x-host-header",
    "time-taken",
    "cs-protocol-version",
    "c-ip-version",
    "cs-user-agent",
    "cs-referer",
    "cs-cookie",
    "cs-uri-query",
    "x-edge-response-result-type",
    "x-forwarded-for",
    "ssl-protocol",
    "ssl-cipher",
    "x-edge-result-type",
    "fle-encrypted-fields",
    "fle-status",
    "sc-content-type",
    "sc-content-len",
    "sc-range-start",
    "sc-range-end",
    "c-port",
    "x-edge-detailed-result-type",
    "c-country",
    "cs-accept-encoding",
    "cs-accept",
    "cache-behavior-path-pattern",
    "cs-headers",
    "cs-header-names",
    "cs-headers-count",
    "primary-distribution-id",
    "primary-distribution-dns-name",
    "origin-fbl",
    "origin-lbl",
    "asn",
    "cmcd-encoded-bitrate",
    "cmcd-buffer-length",
    "cmcd-buffer-starvation",
    "cmcd-content-id",
    "cmcd-object-duration",
    "cmcd-deadline",
    "cmcd-measured-throughput",
    "cmcd-next-object-request",
    "cmcd-next-range-request",
    "cmcd-object-type",
    "cmcd-playback-rate",
    "cmcd-requested-maximum-throughput",
    "cmcd-streaming-format",
    "cmcd-session-id",
    "cmcd-stream-type",
    "cmcd-startup",
    "cmcd-top-bitrate",
    "cmcd-version",
    "r-host",
    "sr-reason",
    "x-edge-mqcs",
    "distribution-tenant-id",
    "connection-id",
];

/// Of those, the ones that every distribution can log: without what media players send (CMCD) and later ones.
const CLOUDFRONT_USUAL: usize = 46;

/// The columns of Snowplow's enriched events. Reference: the Snowplow documentation, "Enriched TSV format".
const SNOWPLOW: &str = "app_id platform etl_tstamp collector_tstamp dvce_created_tstamp event event_id txn_id \
    name_tracker v_tracker v_collector v_etl user_id user_ipaddress user_fingerprint domain_userid \
    domain_sessionidx network_userid geo_country geo_region geo_city geo_zipcode geo_latitude geo_longitude \
    geo_region_name ip_isp ip_organization ip_domain ip_netspeed page_url page_title page_referrer page_urlscheme \
    page_urlhost page_urlport page_urlpath page_urlquery page_urlfragment refr_urlscheme refr_urlhost refr_urlport \
    refr_urlpath refr_urlquery refr_urlfragment refr_medium refr_source refr_term mkt_medium mkt_source mkt_term \
    mkt_content mkt_campaign contexts se_category se_action se_label se_property se_value unstruct_event tr_orderid \
    tr_affiliation tr_total tr_tax tr_shipping tr_city tr_state tr_country ti_orderid ti_sku ti_name ti_category \
    ti_price ti_quantity pp_xoffset_min pp_xoffset_max pp_yoffset_min pp_yoffset_max useragent br_name br_family \
    br_version br_type br_renderengine br_lang br_features_pdf br_features_flash br_features_java \
    br_features_director br_features_quicktime br_features_realplayer br_features_windowsmedia br_features_gears \
    br_features_silverlight br_cookies br_colordepth br_viewwidth br_viewheight os_name os_family os_manufacturer \
    os_timezone dvce_type dvce_ismobile dvce_screenwidth dvce_screenheight doc_charset doc_width doc_height \
    tr_currency tr_total_base tr_tax_base tr_shipping_base ti_currency ti_price_base base_currency geo_timezone \
    mkt_clickid mkt_network etl_tags dvce_sent_tstamp refr_domain_userid refr_device_tstamp derived_contexts \
    domain_sessionid derived_tstamp event_vendor event_name event_format event_version event_fingerprint true_tstamp";

impl Format {
    /// CloudFront's real-time logs of these fields, in any order; the usual ones if none are named. The error is a
    /// field that there is not.
    pub fn cloudfront(chosen: Option<&[String]>) -> Result<Self, String> {
        let fields = CLOUDFRONT.iter().map(|field| (*field).to_owned());
        let columns = match chosen {
            None => fields.take(CLOUDFRONT_USUAL).collect(),
            Some(chosen) => {
                if let Some(unknown) = chosen.iter().find(|field| !CLOUDFRONT.contains(&field.as_str())) {
                    return Err(unknown.clone());
                }
                fields.filter(|field| chosen.contains(field)).collect()
            }
        };
        Ok(Self::Tabbed { columns, nothing: "-" })
    }

    /// Snowplow's enriched events.
    pub fn snowplow() -> Self {
        Self::Tabbed { columns: SNOWPLOW.split(' ').map(str::to_owned).collect(), nothing: "" }
    }
}

/// The cells of one row.
pub(super) fn cells(row: &[u8]) -> impl Iterator<Item = Cow<'_, str>> {
    row.split(|byte| *byte == b'\t').map(String::from_utf8_lossy)
}

#[cfg(test)]
mod tests {
    use crate::record::{Decoder, FieldPaths, Format, RejectReason};

    fn read(format: Format, fields: &[&str], payload: &str) -> Vec<Result<Vec<String>, RejectReason>> {
        let mut paths = FieldPaths::default();
        for field in fields {
            paths.index(field);
        }
        let decoder = Decoder::new(format, paths, 100_000);
        let mut rows = Vec::new();
        decoder.decode(payload.as_bytes(), &mut Vec::new(), &mut |row| {
            let texts = |row: &[crate::record::Field<'_>]| {
                row.iter().map(|field| field.text().unwrap_or_default().into_owned()).collect()
            };
            rows.push(row.map(texts).map_err(|reject| reject.reason));
        });
        rows
    }

    /// Made from the field descriptions of the developer guide: seconds with decimals, `-` for no value, values
    /// percent-encoded, and a quote that somebody sent as it is.
    #[test]
    fn real_time_logs_of_cloudfront() {
        let chosen = ["timestamp", "sc-status", "cs-method", "cs-host", "x-edge-location", "time-taken"];
        let format = Format::cloudfront(Some(&chosen.map(str::to_owned))).unwrap();
        let rows = read(
            format,
            &["timestamp", "cs-host", "sc-status", "time-taken"],
            "1772323200.482\t200\tGET\td111111abcdef8.cloudfront.net\tFRA56-P4\t0.002\n\
             1772323201.007\t503\tGET\tsay\"hi\t-\t-\n1772323201.007\t503\n",
        );
        let row = |cells: [&str; 4]| Ok(cells.map(str::to_owned).to_vec());
        assert_eq!(
            rows,
            [
                row(["1772323200.482", "d111111abcdef8.cloudfront.net", "200", "0.002"]),
                row(["1772323201.007", "say\"hi", "503", ""]),
                Err(RejectReason::WrongColumns),
            ]
        );
        let Format::Tabbed { columns, .. } = Format::cloudfront(None).unwrap() else { panic!("tabbed") };
        assert_eq!((columns.len(), columns[45].as_str()), (46, "asn"));
    }

    #[test]
    fn fields_come_in_their_own_order_and_unknown_ones_are_named() {
        let chosen = ["c-country", "sc-status", "timestamp"].map(str::to_owned);
        let Format::Tabbed { columns, .. } = Format::cloudfront(Some(&chosen)).unwrap() else {
            panic!("tabbed")
        };
        assert_eq!(columns, ["timestamp", "sc-status", "c-country"]);
        assert_eq!(Format::cloudfront(Some(&["status".to_owned()])), Err("status".to_owned()));
    }

    /// Made from the column list of the documentation: 131 cells, empty where there is no value, JSON unquoted.
    #[test]
    fn enriched_events_of_snowplow() {
        let Format::Tabbed { columns, .. } = Format::snowplow() else { panic!("tabbed") };
        assert_eq!(columns.len(), 131);
        let value = |column: &str| match column {
            "app_id" => "shop",
            "event" => "transaction",
            "geo_country" => "DE",
            "page_title" => "12\" skillet",
            "contexts" => {
                r#"{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0","data":[]}"#
            }
            "tr_total" => "42.50",
            "derived_tstamp" => "2026-03-01 00:00:03.885",
            _ => "",
        };
        let line: Vec<&str> = columns.iter().map(|column| value(column)).collect();
        let fields = ["derived_tstamp", "event", "tr_total", "geo_country", "page_title", "user_id"];
        let rows = read(Format::snowplow(), &fields, &line.join("\t"));
        let expected = ["2026-03-01 00:00:03.885", "transaction", "42.50", "DE", "12\" skillet", ""];
        assert_eq!(rows, [Ok(expected.map(str::to_owned).to_vec())]);
    }
}
