// The part of Ask that is Apache HttpClient 5.
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.SSLContext;
import org.apache.hc.client5.http.classic.methods.HttpUriRequestBase;
import org.apache.hc.client5.http.config.RequestConfig;
import org.apache.hc.client5.http.impl.classic.HttpClients;
import org.apache.hc.client5.http.impl.io.PoolingHttpClientConnectionManagerBuilder;
import org.apache.hc.client5.http.ssl.SSLConnectionSocketFactory;
import org.apache.hc.core5.http.Header;
import org.apache.hc.core5.http.io.entity.ByteArrayEntity;
import org.apache.hc.core5.http.io.entity.EntityUtils;
import org.apache.hc.core5.http.io.entity.InputStreamEntity;
import org.apache.hc.core5.util.Timeout;

class AskApache {
  static Ask.Client client(String base, SSLContext context) {
    var pool = PoolingHttpClientConnectionManagerBuilder.create()
        .setSSLSocketFactory(new SSLConnectionSocketFactory(context)).build();
    var client = HttpClients.custom().setConnectionManager(pool).disableRedirectHandling()
        .disableAutomaticRetries().disableContentCompression().build();
    return scenario -> {
      var request = new HttpUriRequestBase(scenario.method(), java.net.URI.create(base + scenario.path()));
      request.setConfig(RequestConfig.custom().setResponseTimeout(Timeout.ofSeconds(20))
          .setExpectContinueEnabled(scenario.how().equals("expect")).build());
      scenario.fields().forEach(field -> request.addHeader(field[0], field[1]));
      switch (scenario.framing()) {
        case "length" -> request.setEntity(new ByteArrayEntity(scenario.body(), null));
        case "chunked" -> request.setEntity(
            new InputStreamEntity(new ByteArrayInputStream(scenario.body()), -1, null));
        case "abort" -> request.setEntity(new InputStreamEntity(scenario.half(), scenario.body().length, null));
        default -> { }
      }
      try (var answer = client.execute(request)) {
        if (scenario.how().equals("abort")) {
          try (InputStream in = answer.getEntity().getContent()) { in.read(); request.abort(); }
          return "aborted";
        }
        List<String> values = new ArrayList<>();
        for (Header header : answer.getHeaders(scenario.field())) values.add(header.getValue());
        byte[] body = answer.getEntity() == null ? new byte[0] : EntityUtils.toByteArray(answer.getEntity());
        return Ask.told(answer.getCode(), body, values);
      }
    };
  }
}
