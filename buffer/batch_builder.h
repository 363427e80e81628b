// BatchBuilder: rows of all cars since the last commit, on their way to becoming batches.
//
// Rows are appended row-major, per car and definition, into memory that is used again after every
// take(); encode_batch() transposes them. Nothing here touches the disk.
//
// Limits (Options): a car's open rows are sealed, that is encoded, at batch_raw_bytes or once they
// are likely to exceed batch_coded_bytes; sealed batches wait for take(). Sealing is not
// committing: a position may be committed only with every record before it (recorder.h), so the
// limits shape batches and never split a message over two commits.
//
// Threads: the recorder's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/decoder.h"
#include "buffer/journal.h"
#include "proto/batch.h"

namespace pitbox {

class BatchBuilder {
 public:
  struct Options {
    std::size_t batch_raw_bytes = std::size_t{4} << 20;      // Rows and their times.
    std::size_t batch_coded_bytes = std::size_t{256} << 10;  // As estimated from the car's last.
    // Cars with memory of their own. Beyond this wants_commit() asks for a commit, after which the
    // cars that had nothing to say lose their memory: a source that invents car names costs
    // commits, never memory without bound.
    std::size_t cars_max = 256;
  };
  explicit BatchBuilder(Options options) : options_(options) {}

  // REQUIRES: the block's spans agree with its count and definition (see consistent()).
  void add(const RowBlock& block);

  bool empty() const { return open_rows_ == 0 && sealed_ == 0; }
  std::size_t bytes() const { return open_bytes_ + sealed_bytes_; }
  bool wants_commit() const { return cars_.size() >= options_.cars_max; }

  // Seals everything and hands it over: cars in the order of their names, each car's batches in
  // the order of their rows.
  std::vector<NewBatch> take();
  // Forgets everything (the rows will come again from the ring).
  void clear();

 private:
  struct Car {
    std::vector<GroupRows> groups;  // Some may be without rows: memory to be used again.
    std::size_t last_group = 0;     // Where the last block went: the next one likely goes there.
    std::size_t raw_bytes = 0;
    BatchMemory memory;
    double coded_per_raw = 0.5;  // Of the last batch sealed.
    bool active = false;         // Had rows since the last take().
    std::vector<NewBatch> sealed;
  };
  GroupRows& group_for(Car& car, const DefinitionPtr& definition);
  std::size_t rows_that_fit(const Car& car, std::size_t row_cost) const;
  void seal(const std::string& name, Car& car);

  const Options options_;
  std::map<std::string, Car, std::less<>> cars_;
  std::map<std::string, Car, std::less<>>::iterator last_car_ = cars_.end();
  std::size_t sealed_ = 0;  // Batches sealed early, of all cars.
  std::size_t open_rows_ = 0;
  std::size_t open_bytes_ = 0;
  std::size_t sealed_bytes_ = 0;
};

// Whether the spans of `block` agree with its count and definition.
bool consistent(const RowBlock& block);

}  // namespace pitbox
