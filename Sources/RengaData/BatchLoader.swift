// BatchLoader.swift: the endless row of batches that training or evaluation takes from a set, from any place on.
// Not here: how a batch is made (BatchMaker), the thread (Prefetcher).
import RengaNetwork

/// Delivers batch after batch, epoch after epoch: the same bits with and without prefetching, on every machine, and from any
/// (epoch, batch) on as if all before had been taken. One thread at a time.
package final class BatchLoader {
    /// Batches of one epoch, at least 1.
    package let batchesPerEpoch: Int
    /// The batch that ``next(src:labels:)`` delivers next; save it to resume there.
    package private(set) var position: BatchPosition
    private let maker: BatchMaker
    private let prefetcher: Prefetcher?

    /// Starts at `position`. Keeps `dataset` alive. Errors: invalidArgument (batch, position), shapeMismatch
    /// (normalisation), outOfMemory, busy (no thread).
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
        // From here on the maker belongs to the thread, if there is one.
        prefetcher =
            options.prefetches
            ? try Prefetcher(
                BatchQueue(maker, batch: options.batch, countPerImage: dataset.shape.countPerImage, from: position))
            : nil
    }

    /// Writes the next batch to src `[N,H,W,C]` and labels `[N]`, which have room for a whole batch, and moves on.
    /// Returns where it stands and its images (fewer than a whole batch only at the end of an epoch; the rest of src stays).
    /// Errors: busy in a child process after fork, with prefetching.
    package func next(
        src: UnsafeMutablePointer<Float>, labels: UnsafeMutablePointer<Int32>
    ) throws(RengaError) -> (position: BatchPosition, count: Int) {
        let delivered = position
        let count = maker.count(at: delivered)
        if let prefetcher {
            try prefetcher.take(count, src: src, labels: labels)
        } else {
            maker.fill(delivered, src: src, labels: labels)
        }
        position = delivered.next(of: batchesPerEpoch)
        return (delivered, count)
    }
}
