/* tls/functions: the functions of OpenSSL that src/tls calls, for a library
 * that is not linked with it. Written by tools/check_functions.py --write. */
#ifndef WSK_TLS_FUNCTIONS_H
#define WSK_TLS_FUNCTIONS_H

/* clang-format off */
#define WSK__TLS_FUNCTIONS(F) \
    F(ASN1_STRING_get0_data) \
    F(ASN1_STRING_length) \
    F(ASN1_STRING_set) \
    F(ASN1_TIME_print) \
    F(ASN1_TIME_set) \
    F(ASN1_TIME_to_tm) \
    F(BIO_clear_flags) \
    F(BIO_ctrl) \
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
    F(BIO_new_mem_buf) \
    F(BIO_read) \
    F(BIO_s_mem) \
    F(BIO_set_data) \
    F(BIO_set_flags) \
    F(BIO_set_init) \
    F(CRYPTO_THREAD_run_once) \
    F(CRYPTO_get_ex_new_index) \
    F(CRYPTO_memcmp) \
    F(ERR_clear_error) \
    F(ERR_get_error) \
    F(ERR_peek_error) \
    F(ERR_peek_last_error) \
    F(ERR_reason_error_string) \
    F(EVP_CIPHER_get_iv_length) \
    F(EVP_CipherInit_ex) \
    F(EVP_MAC_CTX_set_params) \
    F(EVP_PKEY_Q_keygen) \
    F(EVP_PKEY_free) \
    F(EVP_PKEY_get_base_id) \
    F(EVP_PKEY_set_type) \
    F(EVP_aes_256_cbc) \
    F(EVP_sha256) \
    F(GENERAL_NAMES_free) \
    F(GENERAL_NAME_get0_value) \
    F(HMAC) \
    F(OPENSSL_cleanse) \
    F(OPENSSL_init_ssl) \
    F(OPENSSL_sk_new_null) \
    F(OPENSSL_sk_num) \
    F(OPENSSL_sk_pop_free) \
    F(OPENSSL_sk_push) \
    F(OPENSSL_sk_shift) \
    F(OPENSSL_sk_value) \
    F(OPENSSL_thread_stop) \
    F(OSSL_PARAM_construct_end) \
    F(OSSL_PARAM_construct_octet_string) \
    F(OSSL_PARAM_construct_utf8_string) \
    F(OpenSSL_version) \
    F(PEM_read_bio_PrivateKey) \
    F(PEM_read_bio_X509) \
    F(PEM_read_bio_X509_CRL) \
    F(PEM_write_bio_PrivateKey) \
    F(PEM_write_bio_X509) \
    F(RAND_bytes) \
    F(SSL_CIPHER_get_name) \
    F(SSL_CTX_add_client_CA) \
    F(SSL_CTX_callback_ctrl) \
    F(SSL_CTX_ctrl) \
    F(SSL_CTX_free) \
    F(SSL_CTX_get_cert_store) \
    F(SSL_CTX_get_ex_data) \
    F(SSL_CTX_new) \
    F(SSL_CTX_set1_cert_store) \
    F(SSL_CTX_set_alpn_select_cb) \
    F(SSL_CTX_set_cipher_list) \
    F(SSL_CTX_set_client_hello_cb) \
    F(SSL_CTX_set_default_verify_paths) \
    F(SSL_CTX_set_ex_data) \
    F(SSL_CTX_set_max_early_data) \
    F(SSL_CTX_set_num_tickets) \
    F(SSL_CTX_set_options) \
    F(SSL_CTX_set_session_id_context) \
    F(SSL_CTX_set_session_ticket_cb) \
    F(SSL_CTX_set_timeout) \
    F(SSL_CTX_set_tlsext_ticket_key_evp_cb) \
    F(SSL_CTX_set_verify) \
    F(SSL_CTX_use_cert_and_key) \
    F(SSL_SESSION_get0_peer) \
    F(SSL_SESSION_get_protocol_version) \
    F(SSL_alert_desc_string_long) \
    F(SSL_client_hello_get0_ext) \
    F(SSL_ctrl) \
    F(SSL_do_handshake) \
    F(SSL_free) \
    F(SSL_get0_alpn_selected) \
    F(SSL_get0_param) \
    F(SSL_get1_peer_certificate) \
    F(SSL_get_SSL_CTX) \
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
    F(SSL_set_SSL_CTX) \
    F(SSL_set_accept_state) \
    F(SSL_set_alpn_protos) \
    F(SSL_set_bio) \
    F(SSL_set_connect_state) \
    F(SSL_set_ex_data) \
    F(SSL_set_verify) \
    F(SSL_shutdown) \
    F(SSL_write) \
    F(TLS_client_method) \
    F(TLS_server_method) \
    F(X509V3_EXT_conf_nid) \
    F(X509V3_set_ctx) \
    F(X509_CRL_free) \
    F(X509_CRL_get0_nextUpdate) \
    F(X509_CRL_get_issuer) \
    F(X509_EXTENSION_free) \
    F(X509_NAME_add_entry_by_txt) \
    F(X509_NAME_cmp) \
    F(X509_NAME_print_ex) \
    F(X509_STORE_CTX_get0_chain) \
    F(X509_STORE_CTX_get_error) \
    F(X509_STORE_CTX_get_error_depth) \
    F(X509_STORE_CTX_set_error) \
    F(X509_STORE_add_cert) \
    F(X509_STORE_add_crl) \
    F(X509_STORE_free) \
    F(X509_STORE_new) \
    F(X509_STORE_set_flags) \
    F(X509_VERIFY_PARAM_set1_host) \
    F(X509_VERIFY_PARAM_set1_ip_asc) \
    F(X509_VERIFY_PARAM_set_hostflags) \
    F(X509_add_ext) \
    F(X509_check_issued) \
    F(X509_check_private_key) \
    F(X509_cmp_time) \
    F(X509_free) \
    F(X509_get0_notAfter) \
    F(X509_get0_notBefore) \
    F(X509_get0_pubkey) \
    F(X509_get0_serialNumber) \
    F(X509_get_ext_by_NID) \
    F(X509_get_ext_d2i) \
    F(X509_get_issuer_name) \
    F(X509_get_serialNumber) \
    F(X509_get_subject_name) \
    F(X509_getm_notAfter) \
    F(X509_getm_notBefore) \
    F(X509_new) \
    F(X509_set_issuer_name) \
    F(X509_set_pubkey) \
    F(X509_set_version) \
    F(X509_sign) \
    F(X509_verify) \
    F(X509_verify_cert_error_string) \
    F(d2i_X509) \
    F(i2d_X509)

struct wsk__tls_functions {
#define WSK__TLS_FIELD(name) __typeof__(name) *name;
    WSK__TLS_FUNCTIONS(WSK__TLS_FIELD)
#undef WSK__TLS_FIELD
};

#ifndef WSK__TLS_PLAIN_NAMES
#define ASN1_STRING_get0_data (*wsk__tls_lib()->ASN1_STRING_get0_data)
#define ASN1_STRING_length (*wsk__tls_lib()->ASN1_STRING_length)
#define ASN1_STRING_set (*wsk__tls_lib()->ASN1_STRING_set)
#define ASN1_TIME_print (*wsk__tls_lib()->ASN1_TIME_print)
#define ASN1_TIME_set (*wsk__tls_lib()->ASN1_TIME_set)
#define ASN1_TIME_to_tm (*wsk__tls_lib()->ASN1_TIME_to_tm)
#define BIO_clear_flags (*wsk__tls_lib()->BIO_clear_flags)
#define BIO_ctrl (*wsk__tls_lib()->BIO_ctrl)
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
#define BIO_new_mem_buf (*wsk__tls_lib()->BIO_new_mem_buf)
#define BIO_read (*wsk__tls_lib()->BIO_read)
#define BIO_s_mem (*wsk__tls_lib()->BIO_s_mem)
#define BIO_set_data (*wsk__tls_lib()->BIO_set_data)
#define BIO_set_flags (*wsk__tls_lib()->BIO_set_flags)
#define BIO_set_init (*wsk__tls_lib()->BIO_set_init)
#define CRYPTO_THREAD_run_once (*wsk__tls_lib()->CRYPTO_THREAD_run_once)
#define CRYPTO_get_ex_new_index (*wsk__tls_lib()->CRYPTO_get_ex_new_index)
#define CRYPTO_memcmp (*wsk__tls_lib()->CRYPTO_memcmp)
#define ERR_clear_error (*wsk__tls_lib()->ERR_clear_error)
#define ERR_get_error (*wsk__tls_lib()->ERR_get_error)
#define ERR_peek_error (*wsk__tls_lib()->ERR_peek_error)
#define ERR_peek_last_error (*wsk__tls_lib()->ERR_peek_last_error)
#define ERR_reason_error_string (*wsk__tls_lib()->ERR_reason_error_string)
#define EVP_CIPHER_get_iv_length (*wsk__tls_lib()->EVP_CIPHER_get_iv_length)
#define EVP_CipherInit_ex (*wsk__tls_lib()->EVP_CipherInit_ex)
#define EVP_MAC_CTX_set_params (*wsk__tls_lib()->EVP_MAC_CTX_set_params)
#define EVP_PKEY_Q_keygen (*wsk__tls_lib()->EVP_PKEY_Q_keygen)
#define EVP_PKEY_free (*wsk__tls_lib()->EVP_PKEY_free)
#define EVP_PKEY_get_base_id (*wsk__tls_lib()->EVP_PKEY_get_base_id)
#define EVP_PKEY_set_type (*wsk__tls_lib()->EVP_PKEY_set_type)
#define EVP_aes_256_cbc (*wsk__tls_lib()->EVP_aes_256_cbc)
#define EVP_sha256 (*wsk__tls_lib()->EVP_sha256)
#define GENERAL_NAMES_free (*wsk__tls_lib()->GENERAL_NAMES_free)
#define GENERAL_NAME_get0_value (*wsk__tls_lib()->GENERAL_NAME_get0_value)
#define HMAC (*wsk__tls_lib()->HMAC)
#define OPENSSL_cleanse (*wsk__tls_lib()->OPENSSL_cleanse)
#define OPENSSL_init_ssl (*wsk__tls_lib()->OPENSSL_init_ssl)
#define OPENSSL_sk_new_null (*wsk__tls_lib()->OPENSSL_sk_new_null)
#define OPENSSL_sk_num (*wsk__tls_lib()->OPENSSL_sk_num)
#define OPENSSL_sk_pop_free (*wsk__tls_lib()->OPENSSL_sk_pop_free)
#define OPENSSL_sk_push (*wsk__tls_lib()->OPENSSL_sk_push)
#define OPENSSL_sk_shift (*wsk__tls_lib()->OPENSSL_sk_shift)
#define OPENSSL_sk_value (*wsk__tls_lib()->OPENSSL_sk_value)
#define OPENSSL_thread_stop (*wsk__tls_lib()->OPENSSL_thread_stop)
#define OSSL_PARAM_construct_end (*wsk__tls_lib()->OSSL_PARAM_construct_end)
#define OSSL_PARAM_construct_octet_string (*wsk__tls_lib()->OSSL_PARAM_construct_octet_string)
#define OSSL_PARAM_construct_utf8_string (*wsk__tls_lib()->OSSL_PARAM_construct_utf8_string)
#define OpenSSL_version (*wsk__tls_lib()->OpenSSL_version)
#define PEM_read_bio_PrivateKey (*wsk__tls_lib()->PEM_read_bio_PrivateKey)
#define PEM_read_bio_X509 (*wsk__tls_lib()->PEM_read_bio_X509)
#define PEM_read_bio_X509_CRL (*wsk__tls_lib()->PEM_read_bio_X509_CRL)
#define PEM_write_bio_PrivateKey (*wsk__tls_lib()->PEM_write_bio_PrivateKey)
#define PEM_write_bio_X509 (*wsk__tls_lib()->PEM_write_bio_X509)
#define RAND_bytes (*wsk__tls_lib()->RAND_bytes)
#define SSL_CIPHER_get_name (*wsk__tls_lib()->SSL_CIPHER_get_name)
#define SSL_CTX_add_client_CA (*wsk__tls_lib()->SSL_CTX_add_client_CA)
#define SSL_CTX_callback_ctrl (*wsk__tls_lib()->SSL_CTX_callback_ctrl)
#define SSL_CTX_ctrl (*wsk__tls_lib()->SSL_CTX_ctrl)
#define SSL_CTX_free (*wsk__tls_lib()->SSL_CTX_free)
#define SSL_CTX_get_cert_store (*wsk__tls_lib()->SSL_CTX_get_cert_store)
#define SSL_CTX_get_ex_data (*wsk__tls_lib()->SSL_CTX_get_ex_data)
#define SSL_CTX_new (*wsk__tls_lib()->SSL_CTX_new)
#define SSL_CTX_set1_cert_store (*wsk__tls_lib()->SSL_CTX_set1_cert_store)
#define SSL_CTX_set_alpn_select_cb (*wsk__tls_lib()->SSL_CTX_set_alpn_select_cb)
#define SSL_CTX_set_cipher_list (*wsk__tls_lib()->SSL_CTX_set_cipher_list)
#define SSL_CTX_set_client_hello_cb (*wsk__tls_lib()->SSL_CTX_set_client_hello_cb)
#define SSL_CTX_set_default_verify_paths (*wsk__tls_lib()->SSL_CTX_set_default_verify_paths)
#define SSL_CTX_set_ex_data (*wsk__tls_lib()->SSL_CTX_set_ex_data)
#define SSL_CTX_set_max_early_data (*wsk__tls_lib()->SSL_CTX_set_max_early_data)
#define SSL_CTX_set_num_tickets (*wsk__tls_lib()->SSL_CTX_set_num_tickets)
#define SSL_CTX_set_options (*wsk__tls_lib()->SSL_CTX_set_options)
#define SSL_CTX_set_session_id_context (*wsk__tls_lib()->SSL_CTX_set_session_id_context)
#define SSL_CTX_set_session_ticket_cb (*wsk__tls_lib()->SSL_CTX_set_session_ticket_cb)
#define SSL_CTX_set_timeout (*wsk__tls_lib()->SSL_CTX_set_timeout)
#define SSL_CTX_set_tlsext_ticket_key_evp_cb (*wsk__tls_lib()->SSL_CTX_set_tlsext_ticket_key_evp_cb)
#define SSL_CTX_set_verify (*wsk__tls_lib()->SSL_CTX_set_verify)
#define SSL_CTX_use_cert_and_key (*wsk__tls_lib()->SSL_CTX_use_cert_and_key)
#define SSL_SESSION_get0_peer (*wsk__tls_lib()->SSL_SESSION_get0_peer)
#define SSL_SESSION_get_protocol_version (*wsk__tls_lib()->SSL_SESSION_get_protocol_version)
#define SSL_alert_desc_string_long (*wsk__tls_lib()->SSL_alert_desc_string_long)
#define SSL_client_hello_get0_ext (*wsk__tls_lib()->SSL_client_hello_get0_ext)
#define SSL_ctrl (*wsk__tls_lib()->SSL_ctrl)
#define SSL_do_handshake (*wsk__tls_lib()->SSL_do_handshake)
#define SSL_free (*wsk__tls_lib()->SSL_free)
#define SSL_get0_alpn_selected (*wsk__tls_lib()->SSL_get0_alpn_selected)
#define SSL_get0_param (*wsk__tls_lib()->SSL_get0_param)
#define SSL_get1_peer_certificate (*wsk__tls_lib()->SSL_get1_peer_certificate)
#define SSL_get_SSL_CTX (*wsk__tls_lib()->SSL_get_SSL_CTX)
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
#define SSL_set_SSL_CTX (*wsk__tls_lib()->SSL_set_SSL_CTX)
#define SSL_set_accept_state (*wsk__tls_lib()->SSL_set_accept_state)
#define SSL_set_alpn_protos (*wsk__tls_lib()->SSL_set_alpn_protos)
#define SSL_set_bio (*wsk__tls_lib()->SSL_set_bio)
#define SSL_set_connect_state (*wsk__tls_lib()->SSL_set_connect_state)
#define SSL_set_ex_data (*wsk__tls_lib()->SSL_set_ex_data)
#define SSL_set_verify (*wsk__tls_lib()->SSL_set_verify)
#define SSL_shutdown (*wsk__tls_lib()->SSL_shutdown)
#define SSL_write (*wsk__tls_lib()->SSL_write)
#define TLS_client_method (*wsk__tls_lib()->TLS_client_method)
#define TLS_server_method (*wsk__tls_lib()->TLS_server_method)
#define X509V3_EXT_conf_nid (*wsk__tls_lib()->X509V3_EXT_conf_nid)
#define X509V3_set_ctx (*wsk__tls_lib()->X509V3_set_ctx)
#define X509_CRL_free (*wsk__tls_lib()->X509_CRL_free)
#define X509_CRL_get0_nextUpdate (*wsk__tls_lib()->X509_CRL_get0_nextUpdate)
#define X509_CRL_get_issuer (*wsk__tls_lib()->X509_CRL_get_issuer)
#define X509_EXTENSION_free (*wsk__tls_lib()->X509_EXTENSION_free)
#define X509_NAME_add_entry_by_txt (*wsk__tls_lib()->X509_NAME_add_entry_by_txt)
#define X509_NAME_cmp (*wsk__tls_lib()->X509_NAME_cmp)
#define X509_NAME_print_ex (*wsk__tls_lib()->X509_NAME_print_ex)
#define X509_STORE_CTX_get0_chain (*wsk__tls_lib()->X509_STORE_CTX_get0_chain)
#define X509_STORE_CTX_get_error (*wsk__tls_lib()->X509_STORE_CTX_get_error)
#define X509_STORE_CTX_get_error_depth (*wsk__tls_lib()->X509_STORE_CTX_get_error_depth)
#define X509_STORE_CTX_set_error (*wsk__tls_lib()->X509_STORE_CTX_set_error)
#define X509_STORE_add_cert (*wsk__tls_lib()->X509_STORE_add_cert)
#define X509_STORE_add_crl (*wsk__tls_lib()->X509_STORE_add_crl)
#define X509_STORE_free (*wsk__tls_lib()->X509_STORE_free)
#define X509_STORE_new (*wsk__tls_lib()->X509_STORE_new)
#define X509_STORE_set_flags (*wsk__tls_lib()->X509_STORE_set_flags)
#define X509_VERIFY_PARAM_set1_host (*wsk__tls_lib()->X509_VERIFY_PARAM_set1_host)
#define X509_VERIFY_PARAM_set1_ip_asc (*wsk__tls_lib()->X509_VERIFY_PARAM_set1_ip_asc)
#define X509_VERIFY_PARAM_set_hostflags (*wsk__tls_lib()->X509_VERIFY_PARAM_set_hostflags)
#define X509_add_ext (*wsk__tls_lib()->X509_add_ext)
#define X509_check_issued (*wsk__tls_lib()->X509_check_issued)
#define X509_check_private_key (*wsk__tls_lib()->X509_check_private_key)
#define X509_cmp_time (*wsk__tls_lib()->X509_cmp_time)
#define X509_free (*wsk__tls_lib()->X509_free)
#define X509_get0_notAfter (*wsk__tls_lib()->X509_get0_notAfter)
#define X509_get0_notBefore (*wsk__tls_lib()->X509_get0_notBefore)
#define X509_get0_pubkey (*wsk__tls_lib()->X509_get0_pubkey)
#define X509_get0_serialNumber (*wsk__tls_lib()->X509_get0_serialNumber)
#define X509_get_ext_by_NID (*wsk__tls_lib()->X509_get_ext_by_NID)
#define X509_get_ext_d2i (*wsk__tls_lib()->X509_get_ext_d2i)
#define X509_get_issuer_name (*wsk__tls_lib()->X509_get_issuer_name)
#define X509_get_serialNumber (*wsk__tls_lib()->X509_get_serialNumber)
#define X509_get_subject_name (*wsk__tls_lib()->X509_get_subject_name)
#define X509_getm_notAfter (*wsk__tls_lib()->X509_getm_notAfter)
#define X509_getm_notBefore (*wsk__tls_lib()->X509_getm_notBefore)
#define X509_new (*wsk__tls_lib()->X509_new)
#define X509_set_issuer_name (*wsk__tls_lib()->X509_set_issuer_name)
#define X509_set_pubkey (*wsk__tls_lib()->X509_set_pubkey)
#define X509_set_version (*wsk__tls_lib()->X509_set_version)
#define X509_sign (*wsk__tls_lib()->X509_sign)
#define X509_verify (*wsk__tls_lib()->X509_verify)
#define X509_verify_cert_error_string (*wsk__tls_lib()->X509_verify_cert_error_string)
#define d2i_X509 (*wsk__tls_lib()->d2i_X509)
#define i2d_X509 (*wsk__tls_lib()->i2d_X509)
#endif
/* clang-format on */

#endif
