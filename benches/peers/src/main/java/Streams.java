import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.Stores;

/** Streams BROKERS TOPIC EVENTS RESULTS STATE_FOLDER: count and sum per country, page and minute. */
public final class Streams {
    private static final Duration WINDOW = Duration.ofMinutes(1);
    /** With the 30 s that Tidewatch and Flink get it drops most of the topic as late while catching up. */
    private static final Duration GRACE = Duration.ofHours(7);

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "streams-" + ProcessHandle.current().pid());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        settings.put("auto.offset.reset", "earliest");

        Serde<Event> events = Serdes.serdeFrom((topic, event) -> null, (topic, bytes) -> Event.read(bytes));
        Serde<double[]> totals = Serdes.serdeFrom(
            (topic, pair) -> ByteBuffer.allocate(16).putDouble(pair[0]).putDouble(pair[1]).array(),
            (topic, bytes) -> {
                ByteBuffer buffer = ByteBuffer.wrap(bytes);
                return new double[] {buffer.getDouble(), buffer.getDouble()};
            });
        AtomicLong counted = new AtomicLong();
        StreamsBuilder builder = new StreamsBuilder();
        builder
            .stream(arguments[1], Consumed.with(Serdes.Bytes(), events)
                .withTimestampExtractor((record, time) -> ((Event) record.value()).t))
            .map((key, event) -> KeyValue.pair(event.series(), event.total))
            .groupByKey(Grouped.with(Serdes.String(), Serdes.Double()))
            .windowedBy(TimeWindows.ofSizeAndGrace(WINDOW, GRACE))
            .aggregate(() -> new double[2], (key, total, pair) -> {
                counted.incrementAndGet();
                return new double[] {pair[0] + 1, pair[1] + total};
            }, Materialized.<String, double[]>as(
                    Stores.inMemoryWindowStore("totals", GRACE.plus(WINDOW), WINDOW, false))
                .withKeySerde(Serdes.String()).withValueSerde(totals))
            .toStream((window, pair) -> window.key() + "@" + window.window().start())
            .to(arguments[3], Produced.with(Serdes.String(), totals));

        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.start();
        while (counted.get() < Long.parseLong(arguments[2])) {
            Thread.sleep(20);
        }
        streams.close();
        System.out.println(counted.get() + " events counted");
    }
}
