// JettyServer PORT [CA CERT KEY]: App on an embedded Jetty 9. Its certificate and authority come from server.p12
// (password "secret") instead.
import java.io.FileInputStream;
import java.io.InputStream;
import java.security.KeyStore;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.SecureRequestCustomizer;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.SslConnectionFactory;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;
import org.eclipse.jetty.util.ssl.SslContextFactory;

public class JettyServer {
  private static SslConnectionFactory secure() throws Exception {
    KeyStore own = KeyStore.getInstance("PKCS12"), trusted = KeyStore.getInstance("PKCS12");
    try (InputStream in = new FileInputStream("server.p12")) { own.load(in, "secret".toCharArray()); }
    trusted.load(null, null);
    trusted.setCertificateEntry("ca", own.getCertificateChain(own.aliases().nextElement())[1]);
    SslContextFactory.Server context = new SslContextFactory.Server();
    context.setKeyStore(own);
    context.setKeyStorePassword("secret");
    context.setTrustStore(trusted);
    context.setNeedClientAuth(true);
    return new SslConnectionFactory(context, "http/1.1");
  }

  public static void main(String[] words) throws Exception {
    Server server = new Server();
    HttpConfiguration configuration = new HttpConfiguration();
    configuration.setRequestHeaderSize(65536);
    configuration.setResponseHeaderSize(65536);
    if (words.length > 1) configuration.addCustomizer(new SecureRequestCustomizer());
    HttpConnectionFactory http = new HttpConnectionFactory(configuration);
    ServerConnector connector = words.length > 1
        ? new ServerConnector(server, secure(), http) : new ServerConnector(server, http);
    connector.setHost("127.0.0.1");
    connector.setPort(Integer.parseInt(words[0]));
    connector.setIdleTimeout(1000);
    server.addConnector(connector);
    ServletContextHandler context = new ServletContextHandler();
    context.addServlet(new ServletHolder(new App()), "/");
    server.setHandler(context);
    server.start();
    server.join();
  }
}
