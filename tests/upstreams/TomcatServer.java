// TomcatServer PORT [CA CERT KEY]: App on an embedded Tomcat 10.
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.net.SSLHostConfig;
import org.apache.tomcat.util.net.SSLHostConfigCertificate;

public class TomcatServer {
  public static void main(String[] words) throws Exception {
    Tomcat tomcat = new Tomcat();
    tomcat.setBaseDir(Files.createTempDirectory("tomcat").toString());
    Connector connector = new Connector();
    connector.setPort(Integer.parseInt(words[0]));
    connector.setProperty("address", "127.0.0.1");
    connector.setProperty("keepAliveTimeout", "1000");
    connector.setProperty("maxHttpHeaderSize", "65536");
    if (words.length > 1) {
      connector.setProperty("SSLEnabled", "true");
      connector.setSecure(true);
      connector.setScheme("https");
      SSLHostConfig host = new SSLHostConfig();
      KeyStore trusted = KeyStore.getInstance("PKCS12");
      trusted.load(null, null);
      try (InputStream in = Files.newInputStream(Path.of(words[1]))) {
        trusted.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
      }
      host.setTrustStore(trusted);
      host.setCertificateVerification("required");
      SSLHostConfigCertificate certificate = new SSLHostConfigCertificate(host, SSLHostConfigCertificate.Type.UNDEFINED);
      certificate.setCertificateFile(Path.of(words[2]).toAbsolutePath().toString());
      certificate.setCertificateKeyFile(Path.of(words[3]).toAbsolutePath().toString());
      host.addCertificate(certificate);
      connector.addSslHostConfig(host);
    }
    tomcat.setConnector(connector);
    var context = tomcat.addContext("", null);
    Tomcat.addServlet(context, "app", new App());
    context.addServletMappingDecoded("/", "app");
    tomcat.start();
    tomcat.getServer().await();
  }
}
