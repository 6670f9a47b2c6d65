/* wolfssl PORT VERSION CA CERT KEY PATH RESUME: a GET of PATH, twice, the second time with the session
 * of the first if RESUME is "yes". Prints status, bytes of body, and whether the session was resumed. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

static WOLFSSL_SESSION *visit(WOLFSSL_CTX *ctx, int port, const char *path, WOLFSSL_SESSION *session) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&to, sizeof to)) { perror("connect"); exit(1); }
  WOLFSSL *ssl = wolfSSL_new(ctx);
  wolfSSL_set_fd(ssl, fd);
  wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, "x.test", 6);
  if (session) wolfSSL_set_session(ssl, session);
  if (wolfSSL_connect(ssl) != SSL_SUCCESS) {
    printf("connect error %d\n", wolfSSL_get_error(ssl, 0));
    exit(1);
  }
  char head[512], piece[16384];
  int length = snprintf(head, sizeof head,
                        "GET %s HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n", path);
  wolfSSL_write(ssl, head, length);
  long total = 0, body = -1;
  int status = 0, got;
  char *all = NULL;
  while ((got = wolfSSL_read(ssl, piece, sizeof piece)) > 0) {
    all = realloc(all, total + got + 1);
    memcpy(all + total, piece, got);
    total += got;
    all[total] = 0;
  }
  int error = wolfSSL_get_error(ssl, got);
  char *end = all ? strstr(all, "\r\n\r\n") : NULL;
  if (end) { sscanf(all, "HTTP/1.1 %d", &status); body = total - (end + 4 - all); }
  printf("%s %d %ld %s", wolfSSL_get_version(ssl), status, body,
         wolfSSL_session_reused(ssl) ? "resumed" : "full");
  if (!end) printf(" error %d", error);
  printf("\n");
  WOLFSSL_SESSION *kept = wolfSSL_get1_session(ssl);
  wolfSSL_shutdown(ssl);
  wolfSSL_free(ssl);
  close(fd);
  return kept;
}

int main(int count, char **words) {
  if (count != 8) return 2;
  wolfSSL_Init();
  WOLFSSL_METHOD *method = strcmp(words[2], "1.3") ? wolfTLSv1_2_client_method() : wolfTLSv1_3_client_method();
  WOLFSSL_CTX *ctx = wolfSSL_CTX_new(method);
  if (!strcmp(words[7], "yes")) wolfSSL_CTX_UseSessionTicket(ctx);
  if (wolfSSL_CTX_load_verify_locations(ctx, words[3], NULL) != SSL_SUCCESS ||
      wolfSSL_CTX_use_certificate_chain_file(ctx, words[4]) != SSL_SUCCESS ||
      wolfSSL_CTX_use_PrivateKey_file(ctx, words[5], SSL_FILETYPE_PEM) != SSL_SUCCESS) {
    printf("unusable files\n");
    return 1;
  }
  int resumes = !strcmp(words[7], "yes");
  WOLFSSL_SESSION *session = visit(ctx, atoi(words[1]), words[6], NULL);
  visit(ctx, atoi(words[1]), words[6], resumes ? session : NULL);
  return 0;
}
