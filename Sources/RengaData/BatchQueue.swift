// BatchQueue.swift: two batches between the thread that makes them and the one that takes them.
// Not here: the thread's life (Prefetcher), what a batch holds (BatchMaker).
import Glibc
import RengaNetwork

/// A queue of at most two batches: one thread calls ``run()``, another ``take(_:src:labels:)``. Shared by both, freed with the last.
final class BatchQueue: @unchecked Sendable {
    private static let slots = 2

    private let maker: BatchMaker
    private let countPerImage: Int
    private let images: [ImageMemory]
    private let labels: [ImageMemory]
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    // Guarded by the mutex: batches made, batches taken, and the call to end.
    private var made = 0
    private var taken = 0
    private var isStopping = false
    /// Only the making thread's.
    private var position: BatchPosition

    /// Errors: outOfMemory.
    init(_ maker: BatchMaker, batch: Int, countPerImage: Int, from position: BatchPosition) throws(RengaError) {
        self.maker = maker
        self.countPerImage = countPerImage
        self.position = position
        var images: [ImageMemory] = []
        var labels: [ImageMemory] = []
        for _ in 0..<BatchQueue.slots {
            let count = batch.saturatingTimes(countPerImage)
            images.append(try ImageMemory(count: count, stride: 4, "a batch of images"))
            labels.append(try ImageMemory(count: batch, stride: 4, "a batch of labels"))
        }
        self.images = images
        self.labels = labels
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        changed = .allocate(capacity: 1)
        changed.initialize(to: pthread_cond_t())
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Waits for the next batch and copies its first `count` images out.
    func take(_ count: Int, src: UnsafeMutablePointer<Float>, labels dst: UnsafeMutablePointer<Int32>) {
        pthread_mutex_lock(mutex)
        while made == taken { pthread_cond_wait(changed, mutex) }
        pthread_mutex_unlock(mutex)
        // Only this thread moves `taken`, and the maker stays off the slot until it has moved.
        let slot = taken % BatchQueue.slots
        images[slot].withBytes { bytes in
            if let base = bytes.baseAddress { memcpy(src, base, 4 * count * countPerImage) }
        }
        labels[slot].withBytes { bytes in
            if let base = bytes.baseAddress { memcpy(dst, base, 4 * count) }
        }
        pthread_mutex_lock(mutex)
        taken += 1
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }

    /// Makes batches until ``stop()``.
    func run() {
        while waitForRoom() {
            let slot = made % BatchQueue.slots
            images[slot].withBytes { images in
                labels[slot].withBytes { labels in
                    guard let src = images.bindMemory(to: Float.self).baseAddress,
                        let label = labels.bindMemory(to: Int32.self).baseAddress
                    else { return }
                    maker.fill(position, src: src, labels: label)
                }
            }
            position = position.next(of: maker.batchesPerEpoch)
            pthread_mutex_lock(mutex)
            made += 1
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
        }
    }

    /// Ends ``run()`` after the batch that it is at.
    func stop() {
        pthread_mutex_lock(mutex)
        isStopping = true
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }

    /// Waits until fewer than two batches lie ready; false to end.
    private func waitForRoom() -> Bool {
        pthread_mutex_lock(mutex)
        while made - taken >= BatchQueue.slots && !isStopping { pthread_cond_wait(changed, mutex) }
        let goesOn = !isStopping
        pthread_mutex_unlock(mutex)
        return goesOn
    }
}
