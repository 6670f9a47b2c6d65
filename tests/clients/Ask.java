// Ask java|apache URL FILE [STORE]: makes the requests of FILE, one a line, as tests/tests/peers/field/scenarios.rs
// writes them, with java.net.http or with Apache HttpClient 5. STORE is a PKCS #12 file (password "secret") with
// the authority and the client's key.
import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Ask {
  /** One line of the file. */
  record Scenario(String name, String method, String path, String framing, byte[] body, String how, String field) {
    static Scenario of(String line) {
      String[] words = line.split(" "), upload = words[3].split(":");
      byte[] body = new byte[upload.length > 1 ? Integer.parseInt(upload[1]) : 0];
      for (int at = 0; at < body.length; at++) body[at] = (byte) ('0' + at % 10);
      return new Scenario(words[0], words[1], words[2], upload[0], body, words[4], words[5]);
    }

    InputStream half() {
      InputStream broken = new InputStream() {
        @Override public int read() throws IOException { throw new IOException("enough"); }
      };
      return new SequenceInputStream(new ByteArrayInputStream(body, 0, body.length / 2), broken);
    }

    List<String[]> fields() {
      List<String[]> all = new ArrayList<>();
      if (how.equals("trailers")) all.add(new String[] {"TE", "trailers"});
      for (int at = 0; how.equals("many") && at < 60; at++) all.add(new String[] {"X-Many-" + at, "v".repeat(100)});
      return all;
    }
  }

  interface Client { String ask(Scenario scenario) throws Exception; }

  static String told(int status, byte[] body, List<String> values) throws Exception {
    String sum = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body)).substring(0, 8);
    return status + " " + body.length + " " + sum + " " + (values.isEmpty() ? "-" : String.join("|", values));
  }

  static SSLContext context(String[] words) throws Exception {
    if (words.length < 4) return SSLContext.getDefault();
    KeyStore trusted = KeyStore.getInstance("PKCS12"), own = KeyStore.getInstance("PKCS12");
    char[] secret = "secret".toCharArray();
    try (InputStream in = new FileInputStream(words[3])) { own.load(in, secret); }
    trusted.load(null, null);
    trusted.setCertificateEntry("ca", own.getCertificateChain(own.aliases().nextElement())[1]);
    KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
    keys.init(own, secret);
    TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
    trust.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
    return context;
  }

  static Client java(String base, SSLContext context) {
    HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).sslContext(context).build();
    return scenario -> {
      var body = switch (scenario.framing()) {
        case "length" -> BodyPublishers.ofByteArray(scenario.body());
        case "chunked" -> BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(scenario.body()));
        case "abort" -> BodyPublishers.fromPublisher(
            BodyPublishers.ofInputStream(scenario::half), scenario.body().length);
        default -> BodyPublishers.noBody();
      };
      var request = HttpRequest.newBuilder(URI.create(base + scenario.path())).timeout(Duration.ofSeconds(20))
          .method(scenario.method(), body).expectContinue(scenario.how().equals("expect"));
      scenario.fields().forEach(field -> request.header(field[0], field[1]));
      var answer = client.send(request.build(), BodyHandlers.ofInputStream());
      try (InputStream in = answer.body()) {
        if (scenario.how().equals("abort")) return in.read() < 0 ? "empty" : "aborted";
        return told(answer.statusCode(), in.readAllBytes(), answer.headers().allValues(scenario.field()));
      }
    };
  }

  public static void main(String[] words) throws Exception {
    SSLContext context = context(words);
    Client client = words[0].equals("apache") ? AskApache.client(words[1], context) : java(words[1], context);
    for (String line : Files.readAllLines(Path.of(words[2]))) {
      Scenario scenario = Scenario.of(line);
      String told;
      try {
        told = client.ask(scenario);
      } catch (Exception error) {
        told = scenario.framing().equals("abort") ? "aborted" : "lost " + error;
      }
      System.out.println(scenario.name() + " " + told);
    }
    System.exit(0);
  }
}
