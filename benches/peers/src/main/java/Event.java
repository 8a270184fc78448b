import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;

/** The fields that the aggregation reads; the others are skipped. */
@JsonIgnoreProperties(ignoreUnknown = true)
public final class Event {
    private static final ObjectReader READER = new ObjectMapper().readerFor(Event.class);

    public long t;
    public String type;
    public Geo geo;
    public String page;
    public double total;

    @JsonIgnoreProperties(ignoreUnknown = true)
    public static final class Geo {
        public String country;
    }

    static Event read(byte[] json) {
        try {
            return READER.readValue(json);
        } catch (IOException error) {
            throw new IllegalArgumentException(error);
        }
    }

    String series() {
        return geo.country + "|" + page;
    }
}
