// The upstream of tests/tests/peers/field as far as servlets have words for it; Jetty 9 has them in javax.servlet.
import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Collections;
import java.util.Map;
import java.util.zip.GZIPOutputStream;

public class App extends HttpServlet {
  private static final byte[] BIG = "0123456789".repeat(300000).getBytes();

  private static void whole(HttpServletResponse answer, int status, byte[] body) throws IOException {
    answer.setStatus(status);
    answer.setContentLength(body.length);
    answer.getOutputStream().write(body);
  }

  private static byte[] packed() throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (GZIPOutputStream packing = new GZIPOutputStream(out)) { packing.write(BIG); }
    return out.toByteArray();
  }

  private static void slowly(HttpServletResponse answer) throws IOException {
    for (String piece : new String[] {"one ", "two ", "three\n"}) {
      answer.getOutputStream().write(piece.getBytes());
      answer.flushBuffer();
      try { Thread.sleep(30); } catch (InterruptedException error) { throw new IOException(error); }
    }
  }

  @Override
  protected void service(HttpServletRequest asked, HttpServletResponse answer) throws IOException {
    String path = asked.getRequestURI();
    switch (path) {
      case "/hello", "/close" -> {
        asked.getInputStream().readAllBytes();
        if (path.equals("/close")) answer.setHeader("Connection", "close");
        whole(answer, 200, (path.substring(1) + "\n").getBytes());
      }
      case "/echo" -> {
        byte[] body = asked.getInputStream().readAllBytes();
        answer.setHeader("X-Method", asked.getMethod());
        whole(answer, 200, body);
      }
      case "/many" -> {
        long count = Collections.list(asked.getHeaderNames()).stream()
            .filter(name -> name.toLowerCase().startsWith("x-many-")).count();
        answer.setHeader("X-Count", Long.toString(count));
      }
      case "/empty" -> {
        answer.setStatus(204);
        answer.setHeader("X-Told", "empty");
      }
      case "/same" -> {
        answer.setStatus(304);
        answer.setHeader("ETag", "\"1\"");
      }
      case "/moved" -> {
        answer.setStatus(302);
        answer.setHeader("Location", "/hello");
      }
      case "/cookies" -> {
        answer.addCookie(new Cookie("a", "1"));
        answer.addHeader("Set-Cookie", "b=2; Path=/");
        whole(answer, 200, "cookies\n".getBytes());
      }
      case "/gzip" -> {
        answer.setHeader("Content-Encoding", "gzip");
        whole(answer, 200, packed());
      }
      case "/fields" -> {
        for (int at = 0; at < 60; at++) answer.setHeader("X-Field-" + at, "v".repeat(100));
        whole(answer, 200, "fields\n".getBytes());
      }
      case "/chunked" -> slowly(answer);
      case "/trailers" -> {
        answer.setHeader("Trailer", "X-Sum");
        answer.setTrailerFields(() -> Map.of("X-Sum", "6"));
        answer.getOutputStream().write("trailers\n".getBytes());
        answer.flushBuffer();
      }
      case "/large" -> whole(answer, 200, BIG);
      case "/refuse" -> whole(answer, 413, "too big\n".getBytes());
      default -> answer.setStatus(404);
    }
  }
}
