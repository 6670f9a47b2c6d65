/* mbedtls PORT VERSION CA CERT KEY PATH RESUME: as wolfssl.c; TLS 1.2 only, which is what 2.28 has. */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int kept_calls;

/* A resumed handshake asks for no certificate to be verified. */
static int note(void *context, mbedtls_x509_crt *crt, int depth, uint32_t *flags) {
  (void)context, (void)crt, (void)depth, (void)flags;
  kept_calls++;
  return 0;
}

int main(int count, char **words) {
  if (count != 8) return 2;
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
  mbedtls_x509_crt ca, own;
  mbedtls_pk_context key;
  mbedtls_ssl_config config;
  mbedtls_ssl_session session;
  mbedtls_entropy_init(&entropy);
  mbedtls_ctr_drbg_init(&random);
  mbedtls_x509_crt_init(&ca);
  mbedtls_x509_crt_init(&own);
  mbedtls_pk_init(&key);
  mbedtls_ssl_config_init(&config);
  mbedtls_ssl_session_init(&session);
  if (mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0) ||
      mbedtls_x509_crt_parse_file(&ca, words[3]) || mbedtls_x509_crt_parse_file(&own, words[4]) ||
      mbedtls_pk_parse_keyfile(&key, words[5], NULL) ||
      mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                  MBEDTLS_SSL_PRESET_DEFAULT)) {
    printf("unusable files\n");
    return 1;
  }
  mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
  mbedtls_ssl_conf_ca_chain(&config, &ca, NULL);
  mbedtls_ssl_conf_own_cert(&config, &own, &key);
  mbedtls_ssl_conf_verify(&config, note, NULL);
  for (int turn = 0; turn < 2; turn++) {
    mbedtls_net_context net;
    mbedtls_ssl_context ssl;
    mbedtls_net_init(&net);
    mbedtls_ssl_init(&ssl);
    if (mbedtls_net_connect(&net, "127.0.0.1", words[1], MBEDTLS_NET_PROTO_TCP) ||
        mbedtls_ssl_setup(&ssl, &config) || mbedtls_ssl_set_hostname(&ssl, "x.test")) {
      printf("no connection\n");
      return 1;
    }
    mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
    if (turn && !strcmp(words[7], "yes")) mbedtls_ssl_set_session(&ssl, &session);
    kept_calls = 0;
    int result = mbedtls_ssl_handshake(&ssl);
    if (result) {
      printf("connect error -0x%x\n", -result);
      return 1;
    }
    unsigned char piece[16384];
    int length = snprintf((char *)piece, sizeof piece,
                          "GET %s HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n", words[6]);
    mbedtls_ssl_write(&ssl, piece, length);
    long total = 0, body = -1;
    int status = 0;
    char *all = NULL;
    while ((result = mbedtls_ssl_read(&ssl, piece, sizeof piece)) > 0) {
      all = realloc(all, total + result + 1);
      memcpy(all + total, piece, result);
      total += result;
      all[total] = 0;
    }
    char *end = all ? strstr(all, "\r\n\r\n") : NULL;
    if (end) { sscanf(all, "HTTP/1.1 %d", &status); body = total - (end + 4 - all); }
    printf("%s %d %ld %s\n", mbedtls_ssl_get_version(&ssl), status, body,
           kept_calls ? "full" : "resumed");
    mbedtls_ssl_session_free(&session);
    mbedtls_ssl_session_init(&session);
    mbedtls_ssl_get_session(&ssl, &session);
    mbedtls_ssl_close_notify(&ssl);
    mbedtls_net_free(&net);
    mbedtls_ssl_free(&ssl);
  }
  return 0;
}
