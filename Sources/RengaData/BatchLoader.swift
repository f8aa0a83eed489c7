// BatchLoader.swift: the endless row of batches that training or evaluation takes from a set, from any place on.
// Not here: how a batch is made (BatchMaker).
//
// Batches are made between two steps by the same threads that run the steps, not ahead by one more: the work is the same, nobody waits for
// a processor, and a training never has more threads than it was allowed.
import RengaNetwork

/// Delivers batch after batch, epoch after epoch: the same bits with any number of threads, on every machine, and from any
/// (epoch, batch) on as if all before had been taken. One caller at a time.
package final class BatchLoader {
    /// Batches of one epoch, at least 1.
    package let batchesPerEpoch: Int
    /// The batch that ``next(src:labels:)`` delivers next; save it to resume there.
    package private(set) var position: BatchPosition
    private let maker: BatchMaker

    /// Starts at `position`. Keeps `dataset` alive. Errors: invalidArgument (batch, position), shapeMismatch (normalisation).
    package init(
        _ dataset: Dataset, _ options: BatchOptions, from position: BatchPosition = BatchPosition(epoch: 0, batch: 0)
    ) throws(RengaError) {
        maker = try BatchMaker(dataset, options)
        batchesPerEpoch = maker.batchesPerEpoch
        guard (0...BatchPosition.largestEpoch).contains(position.epoch),
            (0..<maker.batchesPerEpoch).contains(position.batch)
        else {
            throw RengaError(
                .invalidArgument,
                "batch \(position.batch) of epoch \(position.epoch): an epoch has batches 0..<\(maker.batchesPerEpoch)")
        }
        self.position = position
    }

    /// Writes the next batch to src `[N,H,W,C]` and labels `[N]`, which have room for a whole batch, and moves on.
    /// Returns where it stands and its images (fewer than a whole batch only at the end of an epoch; the rest of src stays).
    package func next(
        src: UnsafeMutablePointer<Float>, labels: UnsafeMutablePointer<Int32>
    ) -> (position: BatchPosition, count: Int) {
        let delivered = position
        maker.fill(delivered, src: src, labels: labels)
        position = delivered.next(of: batchesPerEpoch)
        return (delivered, maker.count(at: delivered))
    }
}
