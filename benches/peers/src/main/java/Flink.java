import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** Flink BROKERS TOPIC EVENTS RESULTS: count and sum per country, page and minute; no checkpoints. */
public final class Flink {
    static final class Reader extends AbstractDeserializationSchema<Event> {
        @Override
        public Event deserialize(byte[] bytes) {
            return Event.read(bytes);
        }
    }

    static final class Totals implements AggregateFunction<Event, Tuple2<Long, Double>, Tuple2<Long, Double>> {
        @Override
        public Tuple2<Long, Double> createAccumulator() {
            return Tuple2.of(0L, 0.0);
        }

        @Override
        public Tuple2<Long, Double> add(Event event, Tuple2<Long, Double> totals) {
            totals.f0 += 1;
            totals.f1 += event.total;
            return totals;
        }

        @Override
        public Tuple2<Long, Double> getResult(Tuple2<Long, Double> totals) {
            return totals;
        }

        @Override
        public Tuple2<Long, Double> merge(Tuple2<Long, Double> one, Tuple2<Long, Double> other) {
            return Tuple2.of(one.f0 + other.f0, one.f1 + other.f1);
        }
    }

    static final class Row extends ProcessWindowFunction<Tuple2<Long, Double>, String, String, TimeWindow> {
        @Override
        public void process(
                String series, Context context, Iterable<Tuple2<Long, Double>> totals, Collector<String> out) {
            Tuple2<Long, Double> total = totals.iterator().next();
            out.collect(series + "@" + context.window().getStart() + " " + total.f0 + " " + total.f1);
        }
    }

    public static void main(String[] arguments) throws Exception {
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.createLocalEnvironment(2);
        KafkaSource<Event> source = KafkaSource.<Event>builder()
            .setBootstrapServers(arguments[0])
            .setTopics(arguments[1])
            .setGroupId("flink-" + ProcessHandle.current().pid())
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setBounded(OffsetsInitializer.latest())
            .setValueOnlyDeserializer(new Reader())
            .build();
        KafkaSink<String> sink = KafkaSink.<String>builder()
            .setBootstrapServers(arguments[0])
            .setRecordSerializer(KafkaRecordSerializationSchema.<String>builder()
                .setTopic(arguments[3])
                .setValueSerializationSchema(new SimpleStringSchema(StandardCharsets.UTF_8))
                .build())
            .build();
        environment
            .fromSource(source, WatermarkStrategy.<Event>forBoundedOutOfOrderness(Duration.ofSeconds(30))
                .withTimestampAssigner((event, time) -> event.t), "events")
            .keyBy(Event::series)
            .window(TumblingEventTimeWindows.of(Duration.ofMinutes(1)))
            .aggregate(new Totals(), new Row())
            .sinkTo(sink);
        environment.execute();
        System.out.println("done");
    }
}
