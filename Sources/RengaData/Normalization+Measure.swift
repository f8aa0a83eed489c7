// Normalization+Measure.swift: mean and standard deviation of each channel of a data set, in double (u8: exact integers), one thread, one order.
// Not here: the value (RengaNetwork), its use (kernels).
import RengaNetwork

extension Normalization {
    /// Measures `dataset`: mean of each channel, and 1 / standard deviation as scale (1 where a channel is constant).
    /// The same set gives the same bits on every machine. Errors: those of ``init(mean:scale:)``.
    public init(measuring dataset: Dataset) throws(RengaError) {
        let moments = dataset.withImages { bytes in
            dataset.element == .u8
                ? Normalization.exactMoments(bytes, dataset) : Normalization.twoPassMoments(bytes, dataset)
        }
        try self.init(
            mean: moments.map { Float($0.mean) },
            scale: moments.map { $0.variance > 0 ? Float(1 / $0.variance.squareRoot()) : 1 })
    }

    private typealias Moments = (mean: Double, variance: Double)

    /// Calls `body` with each run of elements of one channel: (channel, first element, distance, number).
    private static func forEachRun(of set: Dataset, _ body: (Int, Int, Int, Int) -> Void) {
        let pixels = set.shape.h * set.shape.w
        let channels = set.shape.c
        for image in 0..<set.shape.n {
            for c in 0..<channels {
                switch set.layout {
                case .nhwc: body(c, image * pixels * channels + c, channels, pixels)
                case .nchw: body(c, (image * channels + c) * pixels, 1, pixels)
                }
            }
        }
    }

    /// Sums of at most 2^40 bytes and their squares fit 64 bits, so the only roundings are the last ones.
    private static func exactMoments(_ bytes: UnsafeRawBufferPointer, _ set: Dataset) -> [Moments] {
        var sums = [(first: UInt64, second: UInt64)](repeating: (0, 0), count: set.shape.c)
        forEachRun(of: set) { c, first, distance, count in
            var sum: UInt64 = 0
            var squares: UInt64 = 0
            for index in 0..<count {
                let value = UInt64(bytes[first + index * distance])
                sum &+= value
                squares &+= value &* value
            }
            sums[c].first &+= sum
            sums[c].second &+= squares
        }
        let count = Double(set.shape.rows)
        return sums.map { sum in
            let mean = Double(sum.first) / count
            // A constant channel must not get a variance out of roundings.
            let isConstant = Double(sum.first) * Double(sum.first) == count * Double(sum.second)
            return (mean, isConstant ? 0 : max(0, Double(sum.second) / count - mean * mean))
        }
    }

    /// Mean first, then the squares of the differences: a common offset costs no digits.
    private static func twoPassMoments(_ bytes: UnsafeRawBufferPointer, _ set: Dataset) -> [Moments] {
        func value(_ index: Int) -> Double {
            Double(bytes.loadUnaligned(fromByteOffset: 4 * index, as: Float.self))
        }
        let count = Double(set.shape.rows)
        var means = [Double](repeating: 0, count: set.shape.c)
        forEachRun(of: set) { c, first, distance, count in
            var sum = 0.0
            for index in 0..<count { sum += value(first + index * distance) }
            means[c] += sum
        }
        for c in means.indices { means[c] /= count }
        var variances = [Double](repeating: 0, count: set.shape.c)
        forEachRun(of: set) { c, first, distance, count in
            var sum = 0.0
            for index in 0..<count {
                let difference = value(first + index * distance) - means[c]
                sum += difference * difference
            }
            variances[c] += sum
        }
        return zip(means, variances).map { ($0, $1 / count) }
    }
}
