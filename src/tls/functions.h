/* tls/functions: the functions of OpenSSL that src/tls calls, for a library
 * that is not linked with it. Written by tools/check_functions.py --write. */
#ifndef WSK_TLS_FUNCTIONS_H
#define WSK_TLS_FUNCTIONS_H

/* clang-format off */
#define WSK__TLS_FUNCTIONS(F) \
    F(BIO_clear_flags) \
    F(BIO_free) \
    F(BIO_get_data) \
    F(BIO_get_new_index) \
    F(BIO_meth_free) \
    F(BIO_meth_new) \
    F(BIO_meth_set_create) \
    F(BIO_meth_set_ctrl) \
    F(BIO_meth_set_read) \
    F(BIO_meth_set_write) \
    F(BIO_new) \
    F(BIO_set_data) \
    F(BIO_set_flags) \
    F(BIO_set_init) \
    F(ERR_clear_error) \
    F(ERR_peek_error) \
    F(ERR_peek_last_error) \
    F(ERR_reason_error_string) \
    F(SSL_CIPHER_get_name) \
    F(SSL_CTX_ctrl) \
    F(SSL_CTX_set_alpn_select_cb) \
    F(SSL_CTX_set_max_early_data) \
    F(SSL_CTX_set_options) \
    F(SSL_alert_desc_string_long) \
    F(SSL_ctrl) \
    F(SSL_do_handshake) \
    F(SSL_free) \
    F(SSL_get0_alpn_selected) \
    F(SSL_get0_param) \
    F(SSL_get1_peer_certificate) \
    F(SSL_get_current_cipher) \
    F(SSL_get_error) \
    F(SSL_get_ex_data) \
    F(SSL_get_servername) \
    F(SSL_get_verify_result) \
    F(SSL_get_version) \
    F(SSL_is_server) \
    F(SSL_new) \
    F(SSL_pending) \
    F(SSL_read) \
    F(SSL_session_reused) \
    F(SSL_set_accept_state) \
    F(SSL_set_alpn_protos) \
    F(SSL_set_bio) \
    F(SSL_set_connect_state) \
    F(SSL_set_ex_data) \
    F(SSL_set_verify) \
    F(SSL_shutdown) \
    F(SSL_write) \
    F(X509_VERIFY_PARAM_set1_host) \
    F(X509_VERIFY_PARAM_set1_ip_asc) \
    F(X509_VERIFY_PARAM_set_hostflags) \
    F(X509_free) \
    F(X509_verify_cert_error_string) \
    F(i2d_X509)

struct wsk__tls_functions {
#define WSK__TLS_FIELD(name) __typeof__(name) *name;
    WSK__TLS_FUNCTIONS(WSK__TLS_FIELD)
#undef WSK__TLS_FIELD
};

#ifndef WSK__TLS_PLAIN_NAMES
#define BIO_clear_flags (*wsk__tls_lib()->BIO_clear_flags)
#define BIO_free (*wsk__tls_lib()->BIO_free)
#define BIO_get_data (*wsk__tls_lib()->BIO_get_data)
#define BIO_get_new_index (*wsk__tls_lib()->BIO_get_new_index)
#define BIO_meth_free (*wsk__tls_lib()->BIO_meth_free)
#define BIO_meth_new (*wsk__tls_lib()->BIO_meth_new)
#define BIO_meth_set_create (*wsk__tls_lib()->BIO_meth_set_create)
#define BIO_meth_set_ctrl (*wsk__tls_lib()->BIO_meth_set_ctrl)
#define BIO_meth_set_read (*wsk__tls_lib()->BIO_meth_set_read)
#define BIO_meth_set_write (*wsk__tls_lib()->BIO_meth_set_write)
#define BIO_new (*wsk__tls_lib()->BIO_new)
#define BIO_set_data (*wsk__tls_lib()->BIO_set_data)
#define BIO_set_flags (*wsk__tls_lib()->BIO_set_flags)
#define BIO_set_init (*wsk__tls_lib()->BIO_set_init)
#define ERR_clear_error (*wsk__tls_lib()->ERR_clear_error)
#define ERR_peek_error (*wsk__tls_lib()->ERR_peek_error)
#define ERR_peek_last_error (*wsk__tls_lib()->ERR_peek_last_error)
#define ERR_reason_error_string (*wsk__tls_lib()->ERR_reason_error_string)
#define SSL_CIPHER_get_name (*wsk__tls_lib()->SSL_CIPHER_get_name)
#define SSL_CTX_ctrl (*wsk__tls_lib()->SSL_CTX_ctrl)
#define SSL_CTX_set_alpn_select_cb (*wsk__tls_lib()->SSL_CTX_set_alpn_select_cb)
#define SSL_CTX_set_max_early_data (*wsk__tls_lib()->SSL_CTX_set_max_early_data)
#define SSL_CTX_set_options (*wsk__tls_lib()->SSL_CTX_set_options)
#define SSL_alert_desc_string_long (*wsk__tls_lib()->SSL_alert_desc_string_long)
#define SSL_ctrl (*wsk__tls_lib()->SSL_ctrl)
#define SSL_do_handshake (*wsk__tls_lib()->SSL_do_handshake)
#define SSL_free (*wsk__tls_lib()->SSL_free)
#define SSL_get0_alpn_selected (*wsk__tls_lib()->SSL_get0_alpn_selected)
#define SSL_get0_param (*wsk__tls_lib()->SSL_get0_param)
#define SSL_get1_peer_certificate (*wsk__tls_lib()->SSL_get1_peer_certificate)
#define SSL_get_current_cipher (*wsk__tls_lib()->SSL_get_current_cipher)
#define SSL_get_error (*wsk__tls_lib()->SSL_get_error)
#define SSL_get_ex_data (*wsk__tls_lib()->SSL_get_ex_data)
#define SSL_get_servername (*wsk__tls_lib()->SSL_get_servername)
#define SSL_get_verify_result (*wsk__tls_lib()->SSL_get_verify_result)
#define SSL_get_version (*wsk__tls_lib()->SSL_get_version)
#define SSL_is_server (*wsk__tls_lib()->SSL_is_server)
#define SSL_new (*wsk__tls_lib()->SSL_new)
#define SSL_pending (*wsk__tls_lib()->SSL_pending)
#define SSL_read (*wsk__tls_lib()->SSL_read)
#define SSL_session_reused (*wsk__tls_lib()->SSL_session_reused)
#define SSL_set_accept_state (*wsk__tls_lib()->SSL_set_accept_state)
#define SSL_set_alpn_protos (*wsk__tls_lib()->SSL_set_alpn_protos)
#define SSL_set_bio (*wsk__tls_lib()->SSL_set_bio)
#define SSL_set_connect_state (*wsk__tls_lib()->SSL_set_connect_state)
#define SSL_set_ex_data (*wsk__tls_lib()->SSL_set_ex_data)
#define SSL_set_verify (*wsk__tls_lib()->SSL_set_verify)
#define SSL_shutdown (*wsk__tls_lib()->SSL_shutdown)
#define SSL_write (*wsk__tls_lib()->SSL_write)
#define X509_VERIFY_PARAM_set1_host (*wsk__tls_lib()->X509_VERIFY_PARAM_set1_host)
#define X509_VERIFY_PARAM_set1_ip_asc (*wsk__tls_lib()->X509_VERIFY_PARAM_set1_ip_asc)
#define X509_VERIFY_PARAM_set_hostflags (*wsk__tls_lib()->X509_VERIFY_PARAM_set_hostflags)
#define X509_free (*wsk__tls_lib()->X509_free)
#define X509_verify_cert_error_string (*wsk__tls_lib()->X509_verify_cert_error_string)
#define i2d_X509 (*wsk__tls_lib()->i2d_X509)
#endif
/* clang-format on */

#endif
