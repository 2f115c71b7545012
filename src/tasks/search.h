#pragma once

#include <string>
#include <vector>

#include "common.h"

namespace nuri {

struct IndexRequest {
  ModelOptions model;
  std::string folder;  // whose pictures, at any depth, are indexed; hidden names are not
  std::string index;   // where the index lies; empty: ".nuri-index" inside the folder
  PictureLimits limits;
};

struct IndexReport {
  int64_t added = 0, changed = 0, removed = 0, unchanged = 0, unreadable = 0;
};

// Brings an index up to date with its folder: only files that are new, or of another size or time than before, are
// encoded. What was done survives an interruption. Pictures that cannot be read are warned of and remembered. Throws
// Error(usage) for an index that another model made.
IndexReport index_folder(const IndexRequest& request);

struct SearchRequest {
  std::string index;                         // a folder that was indexed, or the index itself
  std::vector<std::string> texts, pictures;  // what is looked for; of several, the mean
  int64_t count = 10;                        // of hits at most
  ModelOptions model;                        // empty name: the one that made the index
  PictureLimits limits;
};

struct SearchHit {
  std::string file;
  double score;  // cosine
};

// The nearest files, the best first; every vector of the index is compared.
std::vector<SearchHit> search(const SearchRequest& request);

// A PNG with the hits side by side, each with its name and score.
void draw_sheet(const std::vector<SearchHit>& hits, const std::string& output, const PictureLimits& limits = {});

}  // namespace nuri
