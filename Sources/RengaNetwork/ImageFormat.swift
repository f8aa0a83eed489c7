// ImageFormat.swift: how a caller's images lie in memory: element type and order of axes. The codes are those of `renga.h` and of the kernels.
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
