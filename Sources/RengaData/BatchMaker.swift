// BatchMaker.swift: which images make a batch, and their numbers: a pure function of (set, options, epoch, batch).
// Not here: which comes next (BatchLoader).
import CRengaKernels
import RengaNetwork

/// How batches are made.
package struct BatchOptions: Sendable {
    /// Images of a whole batch.
    package var batch: Int
    /// Of shuffling and augmentation.
    package var seed: UInt64 = 0
    /// A new order in each epoch; else the set's own.
    package var shuffles = true
    /// Random changes of each image.
    package var augmentation = Augmentation.none
    /// Applied to every image; nil = the numbers as they are.
    package var normalization: Normalization?
    /// Leaves out a last batch that is not whole; which images that hits changes with the order.
    package var dropsLast = true
    /// Threads that make a batch together, the calling one included. Any number gives the same bits.
    package var threads = 1

    /// Batches of `batch` images.
    package init(batch: Int) { self.batch = batch }
}

/// A batch by its epoch and its place there, both from 0.
package struct BatchPosition: Sendable, Equatable {
    /// The epoch.
    package var epoch: Int
    /// The batch within it.
    package var batch: Int

    /// Largest epoch: positions come from files, and counting on must not overflow.
    static let largestEpoch = 1 << 40

    /// Names a batch.
    package init(epoch: Int, batch: Int) {
        self.epoch = epoch
        self.batch = batch
    }

    /// The one after this.
    func next(of batchesPerEpoch: Int) -> BatchPosition {
        batch + 1 < batchesPerEpoch
            ? BatchPosition(epoch: epoch, batch: batch + 1) : BatchPosition(epoch: epoch + 1, batch: 0)
    }
}

/// Makes batches, on the calling thread and those that it wakes for the moment; remembers only the order of its last epoch.
/// One caller at a time.
final class BatchMaker {
    let batchesPerEpoch: Int
    private let dataset: Dataset
    private let options: BatchOptions
    private var order: (epoch: Int, images: [UInt32])?

    /// Errors: invalidArgument where no batch could be made, shapeMismatch where the normalisation has other channels.
    init(_ dataset: Dataset, _ options: BatchOptions) throws(RengaError) {
        guard options.batch >= 1, options.batch <= dataset.shape.n || !options.dropsLast else {
            throw RengaError(
                .invalidArgument, "a batch of \(options.batch) images cannot come from a set of \(dataset.shape.n)")
        }
        if let normalization = options.normalization, normalization.mean.count != dataset.shape.c {
            throw RengaError(
                .shapeMismatch,
                "the normalisation has \(normalization.mean.count) channels, the set \(dataset.shape.c)")
        }
        let whole = dataset.shape.n / options.batch
        let hasRest = dataset.shape.n % options.batch != 0
        batchesPerEpoch = options.dropsLast || !hasRest ? whole : whole + 1
        self.dataset = dataset
        self.options = options
    }

    /// Images of the batch `position`.
    func count(at position: BatchPosition) -> Int {
        min(options.batch, dataset.shape.n - position.batch * options.batch)
    }

    /// Fills src `[N,H,W,C]` and labels `[N]` with the batch. What lies behind it stays.
    func fill(
        _ position: BatchPosition, src: UnsafeMutablePointer<Float>, labels: UnsafeMutablePointer<Int32>
    ) {
        if options.shuffles, order?.epoch != position.epoch {
            var stream = RandomStream(
                seed: options.seed, purpose: .shuffling, stream: UInt64(position.epoch))
            order = (position.epoch, stream.permutation(UInt32(dataset.shape.n)))
        }
        let count = count(at: position)
        let job = Job(maker: self, position: position, count: count, src: src, labels: labels)
        // A few images are not worth waking anyone for.
        let threads = count * dataset.shape.countPerImage >= 1 << 14 ? options.threads : 1
        withExtendedLifetime(job) {
            var step = rk_step()
            step.run = { context, team in
                guard let context, let team else { return }
                let job = Unmanaged<Job>.fromOpaque(context).takeUnretainedValue()
                job.take(Int(team.pointee.tid), of: Int(team.pointee.nth))
            }
            step.args = UnsafeRawPointer(Unmanaged.passUnretained(job).toOpaque())
            _ = rk_run(&step, 1, Int32(clamping: threads), nil, nil)
        }
    }

    /// One batch being made: each thread writes images of its own; what they share is only read.
    private final class Job: @unchecked Sendable {
        let maker: BatchMaker
        let position: BatchPosition
        let count: Int
        let src: UnsafeMutablePointer<Float>
        let labels: UnsafeMutablePointer<Int32>

        init(
            maker: BatchMaker, position: BatchPosition, count: Int, src: UnsafeMutablePointer<Float>,
            labels: UnsafeMutablePointer<Int32>
        ) {
            (self.maker, self.position, self.count, self.src, self.labels) = (maker, position, count, src, labels)
        }

        func take(_ thread: Int, of threads: Int) {
            for index in count * thread / threads..<count * (thread + 1) / threads {
                maker.write(index, of: position, src: src, labels: labels)
            }
        }
    }

    private func write(
        _ index: Int, of position: BatchPosition, src: UnsafeMutablePointer<Float>, labels: UnsafeMutablePointer<Int32>
    ) {
        let place = position.batch * options.batch + index
        let image = options.shuffles ? order.map { Int($0.images[place]) } ?? 0 : place
        write(image, epoch: position.epoch, to: src + index * dataset.shape.countPerImage)
        labels[index] = dataset.withLabels { $0[image] }
    }

    private func write(_ image: Int, epoch: Int, to dst: UnsafeMutablePointer<Float>) {
        let draw = options.augmentation.draw(seed: options.seed, epoch: epoch, image: image)
        dataset.withImages { images in
            withStatistics { mean, scale in
                var arguments = rk_augment(
                    h: Int64(dataset.shape.h), w: Int64(dataset.shape.w), c: Int64(dataset.shape.c),
                    pad: Int64(options.augmentation.pad), top: Int64(draw.top), left: Int64(draw.left),
                    flip: draw.isFlipped ? 1 : 0, element: dataset.element.kernelCode,
                    layout: dataset.layout.kernelCode,
                    src: images.baseAddress.map { $0 + image * dataset.imageBytes }, mean: mean, scale: scale,
                    type: RK_F32, dst: dst)
                rk_augment_image(&arguments)
            }
        }
    }

    private func withStatistics(_ body: (UnsafePointer<Float>?, UnsafePointer<Float>?) -> Void) {
        guard let normalization = options.normalization else { return body(nil, nil) }
        normalization.mean.withUnsafeBufferPointer { mean in
            normalization.scale.withUnsafeBufferPointer { scale in body(mean.baseAddress, scale.baseAddress) }
        }
    }
}

extension ImageElement {
    /// The kernels' code.
    var kernelCode: rk_element { self == .f32 ? RK_ELEMENT_F32 : RK_ELEMENT_U8 }
}

extension ImageLayout {
    /// The kernels' code.
    var kernelCode: rk_layout { self == .nhwc ? RK_LAYOUT_NHWC : RK_LAYOUT_NCHW }
}
