// SessionOptions.swift: what a session is compiled for, and what it tells about itself.
// Not here: the session.
import CRengaKernels
public import RengaNetwork

/// What a session is compiled for.
public struct SessionOptions: Sendable {
    /// Largest number of images in a run.
    public var batch = 1
    /// Rows of the images; nil = the network's own.
    public var height: Int?
    /// Columns of the images; nil = the network's own.
    public var width: Int?
    /// Threads of a run, the calling one included; nil = `rk_default_threads()`. Work too small to share runs on one.
    public var threads: Int?
    /// Whether batch norms are folded into convolutions where possible.
    public var foldBatchNorm = true
    /// Whether sums and activations run inside the step before them.
    package var fuse = true
    /// Whether buffers that are never alive together share memory.
    package var reuseMemory = true
    /// Whether work too small to share runs on one thread.
    package var serialWhereSmall = true
    /// Whether chunks of images go through several layers at a time.
    package var bands = BandChoice.byRule
    /// Algorithms to force: "direct" for each convolution that it applies to, "conv1=direct" for the layer conv1, where it must apply;
    /// several with commas between them. nil = the best for each.
    public var algorithm: String?
    /// The element type of activations and packed weights.
    public var precision = Precision.f32
    /// What the weights of fully connected layers are kept in: bf16 halves the bytes that a run at a small batch waits for, and rounds each
    /// weight to 8 bits; their products are still summed in f32. Where `precision` is bf16 they mostly are bf16 already.
    public var linearWeights = Precision.f32
    /// Whether the best is found by timing on this machine, once for each shape in the process, instead of by rule. The choice, and with it
    /// the last bits of the results, may then differ from one process to the next; errors stay within the algorithms' bounds.
    public var tune = false
    /// Whose kernels; nil = the best of this processor.
    package var isa: rk_isa?

    /// The defaults.
    public init() {}

    /// Largest number of threads.
    public static let mostThreads = Int(RK_MAX_THREADS)

    func validated() throws(RengaError) -> SessionOptions {
        guard (1...Shape.largestExtent).contains(batch) else {
            throw RengaError(.invalidArgument, "batch must be in 1...\(Shape.largestExtent), got \(batch)")
        }
        if let threads, !(1...Self.mostThreads).contains(threads) {
            throw RengaError(.invalidArgument, "threads must be in 1...\(Self.mostThreads), got \(threads)")
        }
        for (name, extent) in [("height", height), ("width", width)] {
            guard let extent, !(1...Shape.largestExtent).contains(extent) else { continue }
            throw RengaError(.invalidArgument, "\(name) must be in 1...\(Shape.largestExtent), got \(extent)")
        }
        return self
    }
}

/// Bytes that a session holds.
public struct SessionMemory: Equatable, Sendable {
    /// Packed weights and other constants.
    public let weights: Int
    /// The arena of all values.
    public let activations: Int
    /// What kernels need besides.
    public let scratch: Int
    /// What the largest step alone needs alive: no plan of these steps can use less than this for `activations`.
    public let activationsLowerBound: Int
}

/// One step of a session and its best time over the profiled runs.
public struct StepProfile: Equatable, Sendable {
    /// The layer that does the work.
    public let name: String
    /// Its operator and what was fused with it: "convolution + add + relu".
    public let operation: String
    /// The algorithm chosen, "" where there is no choice.
    public let algorithm: String
    /// Wall time.
    public let seconds: Double
    /// Multiply-accumulates, twice of which are floating-point operations.
    public let macs: Int
    /// Bytes of the buffers that it touches, weights included.
    public let bytes: Int

    /// Billions of floating-point operations a second.
    public var gflops: Double { seconds > 0 ? 2e-9 * Double(macs) / seconds : 0 }

    /// Billions of bytes of those buffers a second.
    public var gigabytesPerSecond: Double { seconds > 0 ? 1e-9 * Double(bytes) / seconds : 0 }

    /// Describes a step.
    package init(name: String, operation: String, algorithm: String, seconds: Double, macs: Int, bytes: Int) {
        (self.name, self.operation, self.algorithm) = (name, operation, algorithm)
        (self.seconds, self.macs, self.bytes) = (seconds, macs, bytes)
    }
}

/// A batch of images that the caller owns; read during the call only, any alignment.
public struct InputView {
    /// n * h * w * c elements; with strides, the first one.
    public var data: UnsafeRawPointer
    /// What the caller says it is.
    public var shape: Shape
    /// The elements' type.
    public var element: ImageElement
    /// The order of the axes.
    public var layout: ImageLayout
    /// Where elements lie, in place of a layout.
    public var strides: ImageStrides?

    /// Describes a batch.
    public init(data: UnsafeRawPointer, shape: Shape, element: ImageElement = .f32, layout: ImageLayout = .nhwc) {
        (self.data, self.shape, self.element, self.layout) = (data, shape, element, layout)
    }

    /// Describes a batch that is not dense.
    public init(data: UnsafeRawPointer, shape: Shape, element: ImageElement = .f32, strides: ImageStrides) {
        self.init(data: data, shape: shape, element: element)
        self.strides = strides
    }

    /// Says to an import where the images are; its shape is known and its strides are checked.
    package func describe(
        to args: inout rk_image_import_args, _ mean: UnsafePointer<Float>?, _ scale: UnsafePointer<Float>?
    ) {
        args.src = data
        args.element = rk_element(rawValue: UInt32(element.rawValue))
        args.layout = rk_layout(rawValue: UInt32(layout.rawValue))
        if let strides = strides?.settled(for: shape) {
            args.layout = RK_LAYOUT_STRIDED
            args.strides = rk_strides(
                n: Int64(strides.n), h: Int64(strides.h), w: Int64(strides.w), c: Int64(strides.c))
        }
        args.mean = element == .u8 ? mean : nil
        args.scale = element == .u8 ? scale : nil
    }

    /// Errors: shapeMismatch (it is `name`), invalidArgument (strides that leave any memory).
    package func check(_ name: @autoclosure () -> String, is expected: Shape) throws(RengaError) {
        guard shape == expected else {
            throw RengaError(.shapeMismatch, "\(name()): expected \(expected), got \(shape)")
        }
        _ = try strides?.span(of: shape, element)
    }
}

/// Room for a batch of results that the caller owns; written during the call only, any alignment.
public struct OutputView {
    /// At least n * h * w * c floats.
    public var data: UnsafeMutablePointer<Float>
    /// How many there are.
    public var count: Int
    /// The order of the axes to write.
    public var layout: ImageLayout

    /// Describes room.
    public init(data: UnsafeMutablePointer<Float>, count: Int, layout: ImageLayout = .nhwc) {
        (self.data, self.count, self.layout) = (data, count, layout)
    }
}
