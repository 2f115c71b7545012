#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nuri {

// A set of byte strings, each with a number; finds those that start a text.
class ByteTrie {
 public:
  ByteTrie() : nodes_(1) { roots_.fill(0); }

  // Of equal keys the last value counts. The key must not be empty.
  void add(std::string_view key, int32_t value) {
    uint32_t node = 0;
    for (const char c : key) {
      uint32_t& child = child_of(node, static_cast<unsigned char>(c));
      if (child == 0) {
        child = static_cast<uint32_t>(nodes_.size());
        nodes_.push_back({});
      }
      node = child;
    }
    nodes_[node].value = value;
    nodes_[node].leaf = true;
  }

  // Calls visit(size, value) for each key that starts `text`, the shortest first.
  template <class Visit>
  void prefixes(std::string_view text, Visit&& visit) const {
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      node = find_child(node, static_cast<unsigned char>(text[i]));
      if (node == 0) return;
      if (nodes_[node].leaf) visit(i + 1, nodes_[node].value);
    }
  }

  bool empty() const { return nodes_.size() == 1; }

 private:
  struct Node {
    int32_t value = 0;
    bool leaf = false;
  };
  static uint64_t edge(uint32_t node, unsigned char byte) { return uint64_t{node} << 8 | byte; }
  uint32_t& child_of(uint32_t node, unsigned char byte) { return node == 0 ? roots_[byte] : edges_[edge(node, byte)]; }
  uint32_t find_child(uint32_t node, unsigned char byte) const {
    if (node == 0) return roots_[byte];
    auto found = edges_.find(edge(node, byte));
    return found == edges_.end() ? 0 : found->second;
  }

  std::vector<Node> nodes_;
  std::array<uint32_t, 256> roots_;
  std::unordered_map<uint64_t, uint32_t> edges_;
};

}  // namespace nuri
