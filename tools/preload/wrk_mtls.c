/* Makes wrk show a client certificate, and counts its handshakes.
 *
 * gcc -O2 -shared -fPIC -o wrk_mtls.so wrk_mtls.c -lssl -lcrypto -ldl
 * LD_PRELOAD=./wrk_mtls.so FERRULE_WRK_CERT=client.crt FERRULE_WRK_KEY=client.key wrk ...
 *
 * FERRULE_WRK_CERT, FERRULE_WRK_KEY   PEM files; without them no certificate is shown
 * FERRULE_WRK_TLS                     1.2 or 1.3: only this version
 * FERRULE_WRK_SUITES                  the only TLS 1.3 cipher suites
 * FERRULE_WRK_CIPHERS                 the only TLS 1.2 ciphers
 * FERRULE_WRK_SNI                     the server name instead of the URL's
 * FERRULE_WRK_RESUME                  1: offer each thread's last session; otherwise never one
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_long full, resumed, failed;
static __thread SSL_SESSION *last;

static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int resumes(void) {
    const char *value = setting("FERRULE_WRK_RESUME");
    return value && strcmp(value, "1") == 0;
}

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) {
        fprintf(stderr, "wrk_mtls: no %s behind us\n", name);
        exit(1);
    }
    return found;
}

static int remember(SSL *ssl, SSL_SESSION *session) {
    (void)ssl;
    if (last) SSL_SESSION_free(last);
    last = session;
    return 1; /* ours now */
}

SSL_CTX *SSL_CTX_new(const SSL_METHOD *method) {
    SSL_CTX *(*next)(const SSL_METHOD *) = real("SSL_CTX_new");
    SSL_CTX *context = next(method);
    const char *cert = setting("FERRULE_WRK_CERT"), *key = setting("FERRULE_WRK_KEY");
    const char *version = setting("FERRULE_WRK_TLS");
    const char *suites = setting("FERRULE_WRK_SUITES"), *ciphers = setting("FERRULE_WRK_CIPHERS");
    if (!context) return NULL;
    if (cert && key &&
        (SSL_CTX_use_certificate_chain_file(context, cert) != 1 ||
         SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)) {
        fprintf(stderr, "wrk_mtls: cannot use %s with %s\n", cert, key);
        exit(1);
    }
    if (version) {
        int number = strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
        SSL_CTX_set_min_proto_version(context, number);
        SSL_CTX_set_max_proto_version(context, number);
    }
    if ((suites && SSL_CTX_set_ciphersuites(context, suites) != 1) ||
        (ciphers && SSL_CTX_set_cipher_list(context, ciphers) != 1)) {
        fprintf(stderr, "wrk_mtls: no such ciphers\n");
        exit(1);
    }
    if (resumes()) {
        SSL_CTX_set_session_cache_mode(context,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, remember);
    }
    return context;
}

int SSL_connect(SSL *ssl) {
    int (*next)(SSL *) = real("SSL_connect");
    if (SSL_in_before(ssl)) {
        const char *name = setting("FERRULE_WRK_SNI");
        if (name) SSL_set_tlsext_host_name(ssl, name);
        /* wrk clears and reuses its objects, which would offer their session again. */
        SSL_set_session(ssl, resumes() ? last : NULL);
    }
    int result = next(ssl);
    if (result == 1) {
        atomic_fetch_add(SSL_session_reused(ssl) ? &resumed : &full, 1);
    } else {
        int why = SSL_get_error(ssl, result);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) atomic_fetch_add(&failed, 1);
    }
    return result;
}

__attribute__((destructor)) static void report(void) {
    fprintf(stderr, "wrk_mtls: full %ld resumed %ld failed %ld\n", atomic_load(&full),
            atomic_load(&resumed), atomic_load(&failed));
}
