// Window.swift: the sliding window of convolution and pooling: its options, and how many places it has on a padded map.
// Not here: what happens inside a window (the operators say, the kernels do).

/// A window of `kernel` taps, `dilation` apart, moved by `stride` over a map with zeros or nothing (`pad`) around it.
public struct Window: Sendable, Equatable {
    /// Rows of taps.
    public var kernelH = 1
    /// Columns of taps.
    public var kernelW = 1
    /// Rows between two places of the window.
    public var strideH = 1
    /// Columns between two places of the window.
    public var strideW = 1
    /// Rows added above the map.
    public var padTop = 0
    /// Columns added left of the map.
    public var padLeft = 0
    /// Rows added below the map.
    public var padBottom = 0
    /// Columns added right of the map.
    public var padRight = 0
    /// Rows between two taps.
    public var dilationH = 1
    /// Columns between two taps.
    public var dilationW = 1

    /// Largest kernel, stride, pad and dilation: the extent of a dilated window stays far below overflow.
    public static let largestExtent = 4096

    /// A square window with the same stride, pad and dilation on all sides.
    public init(kernel: Int, stride: Int = 1, pad: Int = 0, dilation: Int = 1) {
        (kernelH, kernelW, strideH, strideW) = (kernel, kernel, stride, stride)
        (padTop, padLeft, padBottom, padRight) = (pad, pad, pad, pad)
        (dilationH, dilationW) = (dilation, dilation)
    }

    /// Rows that the taps span.
    public var extentH: Int { (kernelH &- 1) &* dilationH &+ 1 }
    /// Columns that the taps span.
    public var extentW: Int { (kernelW &- 1) &* dilationW &+ 1 }
    /// True where the window is one tap that visits every pixel: a plain matrix product.
    public var isPointwise: Bool { self == Window(kernel: 1) }

    /// Checks numbers that did not come from options (a window made in code).
    func validated(_ owner: String) throws(RengaError) -> Window {
        let atLeastOne = [kernelH, kernelW, strideH, strideW, dilationH, dilationW]
        let atLeastZero = [padTop, padLeft, padBottom, padRight]
        guard atLeastOne.allSatisfy((1...Self.largestExtent).contains),
            atLeastZero.allSatisfy((0...Self.largestExtent).contains)
        else {
            throw RengaError(
                .invalidArgument,
                "\(owner): kernel, stride and dilation must be in 1...\(Self.largestExtent), "
                    + "pads in 0...\(Self.largestExtent), got \(self)")
        }
        return self
    }
}

/// Whether a last window that only partly fits counts.
enum WindowRounding {
    /// Only windows inside the padded map.
    case floor
    /// Also a last one that runs over the end, if it starts inside the map or the pad before it (as PyTorch).
    case ceiling
}

extension Window {
    /// Rows and columns of the window's places on an `h` x `w` map, or an error if there is none.
    func places(h: Int, w: Int, _ rounding: WindowRounding = .floor) throws(RengaError) -> (h: Int, w: Int) {
        let rows = try Self.places("rows", h, extentH, strideH, padTop, padBottom, rounding)
        let columns = try Self.places("columns", w, extentW, strideW, padLeft, padRight, rounding)
        return (rows, columns)
    }

    private static func places(
        _ axis: String, _ size: Int, _ extent: Int, _ stride: Int, _ padBefore: Int, _ padAfter: Int,
        _ rounding: WindowRounding
    ) throws(RengaError) -> Int {
        let room = size + padBefore + padAfter - extent
        guard room >= 0 else {
            throw RengaError(
                .shapeMismatch,
                "the window spans \(extent) \(axis), the padded map has only \(size + padBefore + padAfter)")
        }
        switch rounding {
        case .floor: return room / stride + 1
        case .ceiling:
            let places = (room + stride - 1) / stride + 1
            return (places - 1) * stride >= size + padBefore ? places - 1 : places
        }
    }

    /// For pooling: every place must see at least one pixel of an `h` x `w` map.
    func checkEveryPlaceSees(h: Int, w: Int) throws(RengaError) {
        guard max(padTop, padBottom) < extentH, max(padLeft, padRight) < extentW else {
            throw RengaError(
                .invalidArgument,
                "pads must be smaller than the window's \(extentH) x \(extentW), or places would see no pixel")
        }
        // Taps `dilation` apart that begin in the pad could otherwise jump over the whole map.
        guard padTop == 0 || h >= dilationH, padLeft == 0 || w >= dilationW else {
            throw RengaError(
                .shapeMismatch, "a map of \(h) x \(w) is smaller than the dilation \(dilationH) x \(dilationW)")
        }
    }
}

// MARK: - Options

extension Window {
    private static func extents(_ least: Int) -> AttributeKind { .integer(least...largestExtent) }

    /// The options of kernel, stride, pad and dilation.
    static let attributes: [AttributeSpec] = [
        AttributeSpec("kernel", extents(1), default: nil, "Rows and columns of the window."),
        AttributeSpec("kernel_h", extents(1), default: "kernel", "Rows of the window."),
        AttributeSpec("kernel_w", extents(1), default: "kernel", "Columns of the window."),
        AttributeSpec("stride", extents(1), default: "1", "Rows and columns between two places of the window."),
        AttributeSpec("stride_h", extents(1), default: "stride", "Rows between two places."),
        AttributeSpec("stride_w", extents(1), default: "stride", "Columns between two places."),
        AttributeSpec("pad", extents(0), default: "0", "Rows and columns added on each side of the map."),
        AttributeSpec("pad_top", extents(0), default: "pad", "Rows added above."),
        AttributeSpec("pad_left", extents(0), default: "pad", "Columns added on the left."),
        AttributeSpec("pad_bottom", extents(0), default: "pad", "Rows added below."),
        AttributeSpec("pad_right", extents(0), default: "pad", "Columns added on the right."),
        AttributeSpec("dilation", extents(1), default: "1", "Rows and columns between two taps."),
        AttributeSpec("dilation_h", extents(1), default: "dilation", "Rows between two taps."),
        AttributeSpec("dilation_w", extents(1), default: "dilation", "Columns between two taps."),
    ]

    /// Reads the options above.
    init(_ reader: AttributeReader) throws(RengaError) {
        kernelH = try reader.integer("kernel_h")
        kernelW = try reader.integer("kernel_w")
        strideH = try reader.integer("stride_h")
        strideW = try reader.integer("stride_w")
        padTop = try reader.integer("pad_top")
        padLeft = try reader.integer("pad_left")
        padBottom = try reader.integer("pad_bottom")
        padRight = try reader.integer("pad_right")
        dilationH = try reader.integer("dilation_h")
        dilationW = try reader.integer("dilation_w")
    }

    /// The options in their shortest form.
    var encoded: Attributes {
        var attributes: Attributes = [:]
        func encode(_ common: String, _ sides: [(suffix: String, value: Int)], default: Int?) {
            if sides.allSatisfy({ $0.value == sides[0].value }) {
                if sides[0].value != `default` { attributes[common] = "\(sides[0].value)" }
            } else {
                for side in sides { attributes["\(common)_\(side.suffix)"] = "\(side.value)" }
            }
        }
        encode("kernel", [("h", kernelH), ("w", kernelW)], default: nil)
        encode("stride", [("h", strideH), ("w", strideW)], default: 1)
        encode(
            "pad", [("top", padTop), ("left", padLeft), ("bottom", padBottom), ("right", padRight)], default: 0)
        encode("dilation", [("h", dilationH), ("w", dilationW)], default: 1)
        return attributes
    }
}
