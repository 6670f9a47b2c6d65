// Visit PORT VERSION STORE PATH: a GET of PATH, twice, the second time with the session of the first. STORE
// is a PKCS #12 file (password "secret") with the authority and the client's key.
import java.io.FileInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.util.List;
import javax.net.ssl.*;

public class Visit {
  public static void main(String[] words) throws Exception {
    KeyStore trusted = KeyStore.getInstance("PKCS12"), own = KeyStore.getInstance("PKCS12");
    char[] secret = "secret".toCharArray();
    try (InputStream in = new FileInputStream(words[2])) { own.load(in, secret); }
    trusted.load(null, null);
    trusted.setCertificateEntry("ca", own.getCertificateChain(own.aliases().nextElement())[1]);
    KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
    keys.init(own, secret);
    TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
    trust.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
    long before = 0;
    for (int turn = 0; turn < 2; turn++) {
      SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket("127.0.0.1", Integer.parseInt(words[0]));
      SSLParameters parameters = socket.getSSLParameters();
      parameters.setServerNames(List.of(new SNIHostName("x.test")));
      parameters.setProtocols(new String[] {"TLSv" + words[1]});
      socket.setSSLParameters(parameters);
      socket.getOutputStream().write(("GET " + words[3] + " HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n")
          .getBytes(StandardCharsets.US_ASCII));
      byte[] all = socket.getInputStream().readAllBytes();
      String text = new String(all, StandardCharsets.ISO_8859_1);
      // A resumed session was made with the first one, not after it.
      long made = socket.getSession().getCreationTime();
      String how = turn > 0 && made <= before ? "resumed" : "full";
      before = made;
      System.out.println(socket.getSession().getProtocol() + " " + text.split(" ")[1] + " "
          + (all.length - text.indexOf("\r\n\r\n") - 4) + " " + how);
      socket.close();
      Thread.sleep(20);
    }
  }
}
