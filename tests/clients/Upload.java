// Upload URL FILE TIMES [STORE]: a POST of FILE, so many times, each on a connection of its own. Prints the
// status of each answer, or what came instead. STORE is a PKCS #12 file (password "secret") with the authority
// and the client's key.
import java.io.FileInputStream;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Duration;
import javax.net.ssl.*;

public class Upload {
  public static void main(String[] words) throws Exception {
    for (int left = Integer.parseInt(words[2]); left > 0; left--) {
      HttpClient.Builder builder = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1);
      if (words.length > 3) builder.sslContext(identity(words[3]));
      HttpRequest request = HttpRequest.newBuilder(URI.create(words[0])).timeout(Duration.ofSeconds(120))
          .POST(HttpRequest.BodyPublishers.ofFile(Path.of(words[1]))).build();
      try {
        System.out.println(builder.build().send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
      } catch (Exception error) {
        System.out.println("lost: " + error);
      }
    }
    System.exit(0);
  }

  static SSLContext identity(String store) throws Exception {
    KeyStore trusted = KeyStore.getInstance("PKCS12"), own = KeyStore.getInstance("PKCS12");
    char[] secret = "secret".toCharArray();
    try (InputStream in = new FileInputStream(store)) { own.load(in, secret); }
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
}
