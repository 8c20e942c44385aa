// Certificates made for a test: a CA, and what it signed, as PEM text.
#pragma once

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

namespace licet::test {

class Certificate {
  public:
    struct Life {
        long from_s = -3600, to_s = 3600;  // from now
    };
    // Signed by itself, or by `issuer`.
    Certificate(const std::string& name, const Certificate* issuer, Life life)
        : key_(EVP_EC_gen("P-256"), EVP_PKEY_free), it_(X509_new(), X509_free) {
        static long serial = 1;
        ASN1_INTEGER_set(X509_get_serialNumber(it_.get()), serial++);
        X509_set_version(it_.get(), X509_VERSION_3);
        X509_gmtime_adj(X509_getm_notBefore(it_.get()), life.from_s);
        X509_gmtime_adj(X509_getm_notAfter(it_.get()), life.to_s);
        X509_set_pubkey(it_.get(), key_.get());
        X509_NAME_add_entry_by_txt(X509_get_subject_name(it_.get()), "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                                   -1, 0);
        X509_set_issuer_name(it_.get(), X509_get_subject_name(issuer == nullptr ? it_.get() : issuer->it_.get()));
        if (issuer == nullptr) {
            X509_EXTENSION* ca = X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
            X509_add_ext(it_.get(), ca, -1);
            X509_EXTENSION_free(ca);
        }
        X509_sign(it_.get(), issuer == nullptr ? key_.get() : issuer->key_.get(), EVP_sha256());
    }
    [[nodiscard]] X509* x509() const { return it_.get(); }
    [[nodiscard]] EVP_PKEY* key() const { return key_.get(); }
    [[nodiscard]] std::string pem() const {
        return text([&](BIO* out) { PEM_write_bio_X509(out, it_.get()); });
    }
    [[nodiscard]] std::string key_pem() const {
        return text([&](BIO* out) { PEM_write_bio_PrivateKey(out, key_.get(), nullptr, nullptr, 0, nullptr, nullptr); });
    }

  private:
    template <class Write>
    static std::string text(Write write) {
        const std::unique_ptr<BIO, decltype(&BIO_free_all)> out(BIO_new(BIO_s_mem()), BIO_free_all);
        write(out.get());
        char* data = nullptr;
        const long size = BIO_get_mem_data(out.get(), &data);
        return {data, static_cast<std::size_t>(size)};
    }
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
    std::unique_ptr<X509, decltype(&X509_free)> it_;
};

// A folder of its own, gone at the end.
class Folder {
  public:
    Folder() {
        char name[] = "/tmp/licet-tls-XXXXXX";
        path_ = mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    std::string write(const std::string& name, const std::string& text) const {
        std::ofstream(path_ / name) << text;
        return (path_ / name).string();
    }

  private:
    std::filesystem::path path_;
};

}  // namespace licet::test
