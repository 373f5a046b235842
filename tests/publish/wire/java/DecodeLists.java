import discovery.v1.Lists;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.StringJoiner;

/**
 * Writes the schema that the code was generated from (hex); then reads a payload in hex per line and writes its ids, its
 * names (hex of UTF-8) and its scores (hex of their bits).
 */
public final class DecodeLists {
  public static void main(String[] arguments) throws Exception {
    HexFormat hex = HexFormat.of();
    System.out.println(hex.formatHex(Lists.getDescriptor().toProto().toByteArray()));
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      Lists.List list = Lists.List.parseFrom(hex.parseHex(line));
      StringJoiner ids = new StringJoiner(" ");
      StringJoiner names = new StringJoiner(" ");
      StringJoiner scores = new StringJoiner(" ");
      for (long id : list.getSourceIdsList()) {
        ids.add(Long.toString(id));
      }
      for (String name : list.getSourceNamesList()) {
        names.add(hex.formatHex(name.getBytes(StandardCharsets.UTF_8)));
      }
      for (float score : list.getScoresList()) {
        scores.add(Integer.toHexString(Float.floatToRawIntBits(score)));
      }
      System.out.println(ids + "|" + names + "|" + scores);
    }
  }
}
