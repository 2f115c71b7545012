#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "formats/gguf_config.h"
#include "weights/stores.h"

namespace nuri {

// The weights of a GGUF file under the names that transformers gives them. Q4_0, Q4_1, Q5_0, Q8_0, IQ4_NL and Q3_K
// become codes of our kernels as they are; Q4_K and IQ4_XS do but for their scales, which are rounded to float16; of
// Q6_K, whose scales are those of 16 columns, the integers code * scale are rounded to 8 bits in groups of 32. Other
// types are numbers: float32 in a file of float32 alone, else bfloat16, unless LoadOptions::dtype says otherwise.
class GgufStore : public FileStore {
 public:
  // Throws as GgufFile does, and Error(unsupported) for an architecture that is not known here.
  GgufStore(const std::filesystem::path& path, LoadOptions options);

  bool has(const std::string& name) const override { return weights_.contains(name); }
  std::optional<Codes> codes(const std::string& name, int64_t n, int64_t k) override;
  at::Tensor take(const std::string& name, at::IntArrayRef shape, const Init& init) override;

  void expect_all_taken() const override;
  void expect_room() const override;

 private:
  // The rows [begin, begin + shape[0]) of a tensor of the file; those of queries and keys in the order of its heads.
  struct Weight {
    const GgufTensor* tensor;
    std::vector<int64_t> shape;
    int64_t begin = 0, heads = 0;
    int64_t elements() const;
  };
  void add(const GgufTensor& tensor);
  void add_named(const std::string& name, Weight weight);
  const Weight& find(const std::string& name, at::IntArrayRef shape);
  std::optional<kernels::Coding> stored_coding(const Weight& weight) const;
  // Whether the numbers can be used where they lie.
  bool is_mapped(const Weight& weight) const;
  const std::byte* row(const Weight& weight, int64_t index) const;
  at::Tensor numbers(const Weight& weight) const;

  std::shared_ptr<GgufFile> file_;
  LoadOptions options_;
  at::ScalarType dtype_;
  GgufHeads heads_;
  std::map<std::string, Weight> weights_;  // by canonical name
  std::set<std::string> taken_;
};

}  // namespace nuri
