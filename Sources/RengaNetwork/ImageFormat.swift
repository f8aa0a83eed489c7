// ImageFormat.swift: how a caller's images lie in memory: element type, order of axes, strides. The codes are those of `renga.h` and of the kernels.
// Not here: any conversion (kernels), any set of images (RengaData).

/// The element type of a caller's images.
public enum ImageElement: Int32, Sendable, CaseIterable {
    /// IEEE single.
    case f32 = 0
    /// 0 … 255, taken as that number.
    case u8 = 1

    /// Bytes of one element.
    public var bytes: Int { self == .f32 ? 4 : 1 }
}

/// The order of the four axes of a caller's images, slowest first.
public enum ImageLayout: Int32, Sendable, CaseIterable {
    /// `[N,H,W,C]`.
    case nhwc = 0
    /// `[N,C,H,W]`.
    case nchw = 1
}

/// Where a caller's images lie that are not dense: bytes from one image, row, column and channel to the next, of any sign, also 0. What an
/// axis of one element says does not matter.
public struct ImageStrides: Equatable, Sendable {
    /// From image to image.
    public var n: Int
    /// From row to row.
    public var h: Int
    /// From column to column.
    public var w: Int
    /// From channel to channel.
    public var c: Int

    /// Describes them.
    public init(n: Int, h: Int, w: Int, c: Int) { (self.n, self.h, self.w, self.c) = (n, h, w, c) }

    /// More bytes than any memory spans; sums and products of what lies below do not overflow.
    private static let mostBytes = 1 << 56

    /// The bytes that images of that shape touch, counted from the first element: it lies in them.
    /// Errors: invalidArgument where that is more than any memory holds.
    public func span(of shape: Shape, _ element: ImageElement) throws(RengaError) -> Range<Int> {
        var (least, most) = (0, 0)
        for (extent, stride) in [(shape.n, n), (shape.h, h), (shape.w, w), (shape.c, c)] where extent > 1 {
            let (reach, overflow) = (extent - 1).multipliedReportingOverflow(by: stride)
            guard !overflow, reach.magnitude <= Self.mostBytes else {
                throw RengaError(
                    .invalidArgument, "strides of \(stride) bytes over \(extent) elements leave any memory")
            }
            // Four of these at most: no overflow.
            (least, most) = (least + min(reach, 0), most + max(reach, 0))
        }
        return least..<most + element.bytes
    }

    /// The same with 0 for axes of one element.
    package func settled(for shape: Shape) -> ImageStrides {
        ImageStrides(
            n: shape.n > 1 ? n : 0, h: shape.h > 1 ? h : 0, w: shape.w > 1 ? w : 0, c: shape.c > 1 ? c : 0)
    }
}
