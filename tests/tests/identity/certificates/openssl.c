/* OpenSSL's word on many chains.
 *
 * In, on standard input: big-endian 32-bit numbers and DER. First how many anchors, and each with its
 * length in front; then chains to the end of the input: how many certificates, and each likewise, the
 * leaf first. Out: a line for each chain, fields between tabs: the error code, its words, and of a leaf
 * that can be read the serial number, subject, issuer, dates and alternative names as nginx prints
 * them, all but the code in hexadecimal.
 *
 * Arguments: the time of judgement (Unix seconds), the depth, and "policies" to check these, too, or
 * "lists": each chain is a leaf and a revocation list then, which has to speak of everybody. */
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int number(uint32_t *value) {
    unsigned char bytes[4];
    if (fread(bytes, 1, 4, stdin) != 4) return 0;
    *value = (uint32_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
    return 1;
}

/* NULL if it cannot be read to its last byte. */
static X509 *certificate(void) {
    uint32_t length;
    if (!number(&length)) exit(1);
    unsigned char *bytes = malloc(length + 1);
    if (fread(bytes, 1, length, stdin) != length) exit(1);
    const unsigned char *at = bytes;
    X509 *read = d2i_X509(NULL, &at, length);
    if (read != NULL && at != bytes + length) {
        X509_free(read);
        read = NULL;
    }
    free(bytes);
    return read;
}

/* NULL if it cannot be read to its last byte. */
static X509_CRL *list(void) {
    uint32_t length;
    if (!number(&length)) exit(1);
    unsigned char *bytes = malloc(length + 1);
    if (fread(bytes, 1, length, stdin) != length) exit(1);
    const unsigned char *at = bytes;
    X509_CRL *read = d2i_X509_CRL(NULL, &at, length);
    if (read != NULL && at != bytes + length) {
        X509_CRL_free(read);
        read = NULL;
    }
    free(bytes);
    return read;
}

static void hex(const unsigned char *bytes, size_t length) {
    for (size_t at = 0; at < length; at++) printf("%02x", bytes[at]);
}

static void field(BIO *text) {
    char *bytes;
    long length = BIO_get_mem_data(text, &bytes);
    putchar('\t');
    hex((unsigned char *)bytes, length);
    BIO_reset(text);
}

static void alt_names(X509 *leaf) {
    putchar('\t');
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    for (int at = 0; names != NULL && at < sk_GENERAL_NAME_num(names); at++) {
        GENERAL_NAME *name = sk_GENERAL_NAME_value(names, at);
        ASN1_STRING *value;
        const char *kind;
        switch (name->type) {
        case GEN_EMAIL: kind = "email"; value = name->d.rfc822Name; break;
        case GEN_DNS: kind = "dns"; value = name->d.dNSName; break;
        case GEN_URI: kind = "uri"; value = name->d.uniformResourceIdentifier; break;
        case GEN_IPADD: kind = "ip"; value = name->d.iPAddress; break;
        default: continue;
        }
        printf("%s:", kind);
        hex(ASN1_STRING_get0_data(value), ASN1_STRING_length(value));
        putchar(',');
    }
    GENERAL_NAMES_free(names);
}

static void values(X509 *leaf) {
    BIO *text = BIO_new(BIO_s_mem());
    i2a_ASN1_INTEGER(text, X509_get_serialNumber(leaf));
    field(text);
    X509_NAME_print_ex(text, X509_get_subject_name(leaf), 0, XN_FLAG_RFC2253);
    field(text);
    X509_NAME_print_ex(text, X509_get_issuer_name(leaf), 0, XN_FLAG_RFC2253);
    field(text);
    ASN1_TIME_print(text, X509_get0_notBefore(leaf));
    field(text);
    ASN1_TIME_print(text, X509_get0_notAfter(leaf));
    field(text);
    alt_names(leaf);
    BIO_free(text);
}

/* As nginx: go on after an error, and keep the last one. */
static int go_on(int ok, X509_STORE_CTX *context) {
    (void)ok;
    (void)context;
    return 1;
}

/* OpenSSL's word on a leaf, by one list. */
static void judge_by_list(X509_STORE *store) {
    X509 *leaf = certificate();
    X509_CRL *only = list();
    if (leaf == NULL || only == NULL) {
        printf("-1\tunreadable\n");
    } else {
        STACK_OF(X509_CRL) *lists = sk_X509_CRL_new_null();
        sk_X509_CRL_push(lists, only);
        X509_STORE_CTX *context = X509_STORE_CTX_new();
        X509_STORE_CTX_init(context, store, leaf, NULL);
        X509_STORE_CTX_set0_crls(context, lists);
        int ok = X509_verify_cert(context);
        int code = X509_STORE_CTX_get_error(context);
        if (ok < 0 && code == X509_V_OK) code = X509_V_ERR_UNSPECIFIED;
        printf("%d\t%s\n", code, X509_verify_cert_error_string(code));
        X509_STORE_CTX_free(context);
        sk_X509_CRL_free(lists);
    }
    X509_CRL_free(only);
    X509_free(leaf);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    X509_STORE *store = X509_STORE_new();
    X509_VERIFY_PARAM *param = X509_STORE_get0_param(store);
    X509_VERIFY_PARAM_set_time(param, atoll(argv[1]));
    X509_VERIFY_PARAM_set_depth(param, atoi(argv[2]));
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT);
    X509_VERIFY_PARAM_set_auth_level(param, 2);
    int any_purpose = argc > 3 && strcmp(argv[3], "any purpose") == 0;
    if (any_purpose) X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
    int lists = argc > 3 && strcmp(argv[3], "lists") == 0;
    if (lists) {
        /* As nginx, with a list for each authority. */
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    } else if (argc > 3 && !any_purpose) {
        /* Any policy will do. */
        X509_VERIFY_PARAM_add0_policy(param, OBJ_dup(OBJ_nid2obj(NID_any_policy)));
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_POLICY_CHECK);
    }
    X509_STORE_set_verify_cb(store, go_on);
    uint32_t count;
    if (!number(&count)) return 1;
    while (count-- > 0) {
        X509 *anchor = certificate();
        if (anchor == NULL || !X509_STORE_add_cert(store, anchor)) return 1;
        X509_free(anchor);
    }
    while (number(&count)) {
        if (lists) {
            judge_by_list(store);
            continue;
        }
        STACK_OF(X509) *chain = sk_X509_new_null();
        int broken = 0;
        for (uint32_t at = 0; at < count; at++) {
            X509 *one = certificate();
            if (one == NULL) broken = 1;
            else sk_X509_push(chain, one);
        }
        /* A TLS stack gives up at the first that it cannot read. */
        if (broken) {
            printf("-1\tunreadable\n");
        } else {
            X509 *leaf = sk_X509_value(chain, 0);
            X509_STORE_CTX *context = X509_STORE_CTX_new();
            X509_STORE_CTX_init(context, store, leaf, chain);
            int ok = X509_verify_cert(context);
            int code = X509_STORE_CTX_get_error(context);
            if (ok < 0 && code == X509_V_OK) code = X509_V_ERR_UNSPECIFIED;
            int unreadable = code == X509_V_ERR_UNSPECIFIED && X509_get0_pubkey(leaf) == NULL;
            printf("%d\t%s", code,
                   unreadable ? "unreadable key" : X509_verify_cert_error_string(code));
            values(leaf);
            putchar('\n');
            X509_STORE_CTX_free(context);
        }
        sk_X509_pop_free(chain, X509_free);
    }
    X509_STORE_free(store);
    return 0;
}
