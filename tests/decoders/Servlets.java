// Says whether Tomcat takes a path for one of the servlet at /admin/*, with every switch for
// encoded slashes and backslashes open.
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.file.Files;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.buf.EncodedSolidusHandling;

public class Servlets {
  private static HttpServlet say(String text) {
    return new HttpServlet() {
      @Override
      protected void service(HttpServletRequest asked, HttpServletResponse answer) throws IOException {
        answer.getWriter().print(text);
      }
    };
  }

  public static void main(String[] words) throws Exception {
    Tomcat tomcat = new Tomcat();
    tomcat.setBaseDir(Files.createTempDirectory("tomcat").toString());
    Connector connector = new Connector();
    connector.setPort(Integer.parseInt(words[0]));
    connector.setProperty("address", "127.0.0.1");
    connector.setProperty("relaxedPathChars", "\\<>[]^`{|}");
    connector.setAllowBackslash(true);
    connector.setEncodedSolidusHandling(EncodedSolidusHandling.DECODE.getValue());
    tomcat.setConnector(connector);
    var context = tomcat.addContext("", null);
    Tomcat.addServlet(context, "admin", say("ADMIN"));
    context.addServletMappingDecoded("/admin/*", "admin");
    Tomcat.addServlet(context, "rest", say("public"));
    context.addServletMappingDecoded("/", "rest");
    tomcat.start();
    tomcat.getServer().await();
  }
}
