// Resize.swift: a map with more or fewer rows and columns, by nearest neighbours or by linear or cubic interpolation: options and shape rule.
// Not here: the weights of interpolation (ResizeAxis.swift), how it runs (kernels).

/// A map of another size: src `[N,H,W,C]`, dst `[N,OH,OW,C]`, as ONNX defines it (Resize, opset 19).
///
/// OH is `height`, or the whole part of H times `scale_h`; places are told by the scale where it is given, else by OH / H. Columns alike.
public struct Resize {
    /// How values between pixels are made.
    public enum Mode: String, Sendable, CaseIterable { case nearest, linear, cubic }

    /// Where on the source a pixel of the result lies.
    public enum Coordinates: String, Sendable, CaseIterable {
        /// (x + 1/2) / scale - 1/2.
        case halfPixel = "half_pixel"
        /// The first and last pixels of both maps lie on each other.
        case alignCorners = "align_corners"
        /// x / scale.
        case asymmetric
        /// As half_pixel, but 0 where the result has one pixel.
        case pytorchHalfPixel = "pytorch_half_pixel"
        /// As half_pixel, with the middles of both maps on each other where the size is no whole multiple.
        case halfPixelSymmetric = "half_pixel_symmetric"
        /// Aligned corners of the part `crop_top` … `crop_right` of the source; beyond the source stands `extrapolation`.
        case cropAndResize = "tf_crop_and_resize"
    }

    /// Which neighbour is the nearest.
    public enum Nearest: String, Sendable, CaseIterable {
        /// The nearer, of two the first.
        case roundPreferFloor = "round_prefer_floor"
        /// The nearer, of two the last.
        case roundPreferCeil = "round_prefer_ceil"
        /// The one before.
        case floor
        /// The one behind.
        case ceil
    }

    /// What is said of one axis.
    public struct Axis: Sendable, Equatable {
        /// Extent of the result; 0: by the scale.
        public var size = 0
        /// Result / source; 0: by the size.
        public var scale = 0.0
        /// For crops: the first place of the part, as a fraction of the source.
        public var cropStart = 0.0
        /// For crops: the last place of the part.
        public var cropEnd = 1.0

        /// The size, the scale or both.
        public init(size: Int = 0, scale: Double = 0) { (self.size, self.scale) = (size, scale) }
    }

    /// How values between pixels are made.
    public var mode: Mode
    /// Rows.
    public var h: Axis
    /// Columns.
    public var w: Axis
    /// Where on the source a pixel of the result lies.
    public var coordinates = Coordinates.halfPixel
    /// Which neighbour is the nearest.
    public var nearest = Nearest.roundPreferFloor
    /// The coefficient of cubic interpolation.
    public var cubicA = -0.75
    /// Whether pixels outside the map weigh nothing, and the others the more; else the edge is repeated.
    public var excludesOutside = false
    /// Whether linear and cubic interpolation widen where the result is smaller, so that no pixel is left out.
    public var antialias = false
    /// For crops: what stands beyond the source.
    public var extrapolation = 0.0

    /// Largest extent of the result.
    public static let largestSize = 1 << 20
    /// Largest scale; the smallest is 1 / this.
    public static let largestScale = 4096.0

    /// Makes a resize; the rest are properties. Numbers out of bounds are errors of the shape rule.
    public init(_ mode: Mode, h: Axis, w: Axis) { (self.mode, self.h, self.w) = (mode, h, w) }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Resize: Operator {
    public static let name = "resize"
    public static let arity = Arity.exactly(1)
    public static let attributes = [
        AttributeSpec(
            "mode", words(Mode.allCases), default: Mode.nearest.rawValue, "How values between pixels are made."),
        AttributeSpec("height", .integer(sizes), default: "0", "Rows of the result; 0: by scale_h."),
        AttributeSpec("width", .integer(sizes), default: "0", "Columns of the result; 0: by scale_w."),
        AttributeSpec(
            "scale_h", .number(scales), default: "0", "Rows of the result for each of the input; 0: by height."),
        AttributeSpec("scale_w", .number(scales), default: "0", "Columns likewise; 0: by width."),
        AttributeSpec(
            "coordinates", words(Coordinates.allCases), default: Coordinates.halfPixel.rawValue,
            "Where on the input a pixel of the result lies."),
        AttributeSpec(
            "nearest", words(Nearest.allCases), default: Nearest.roundPreferFloor.rawValue,
            "Which neighbour is the nearest."),
        AttributeSpec("cubic_a", .number(fractions), default: "-0.75", "The coefficient of cubic interpolation."),
        AttributeSpec(
            "exclude_outside", .flag, default: "no",
            "Whether pixels outside the map weigh nothing; else the edge is repeated."),
        AttributeSpec("antialias", .flag, default: "no", "Whether interpolation widens where the result is smaller."),
        AttributeSpec("extrapolation", .number(values), default: "0", "For crops: what stands beyond the input."),
        AttributeSpec("crop_top", .number(fractions), default: "0", "For crops: the first row, as a fraction."),
        AttributeSpec("crop_left", .number(fractions), default: "0", "For crops: the first column."),
        AttributeSpec("crop_bottom", .number(fractions), default: "1", "For crops: the last row."),
        AttributeSpec("crop_right", .number(fractions), default: "1", "For crops: the last column."),
    ]
    private static let sizes = 0...largestSize
    private static let scales = 0...largestScale
    private static let fractions = -16.0...16.0
    private static let values = -Activation.largestNumber...Activation.largestNumber

    private static func words<Word: RawRepresentable<String>>(_ words: [Word]) -> AttributeKind {
        .choice(words.map(\.rawValue))
    }

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        mode = Mode(rawValue: try reader.choice("mode")) ?? .nearest
        h = Axis(size: try reader.integer("height"), scale: try reader.number("scale_h"))
        w = Axis(size: try reader.integer("width"), scale: try reader.number("scale_w"))
        (h.cropStart, h.cropEnd) = (try reader.number("crop_top"), try reader.number("crop_bottom"))
        (w.cropStart, w.cropEnd) = (try reader.number("crop_left"), try reader.number("crop_right"))
        coordinates = Coordinates(rawValue: try reader.choice("coordinates")) ?? .halfPixel
        nearest = Nearest(rawValue: try reader.choice("nearest")) ?? .roundPreferFloor
        cubicA = try reader.number("cubic_a")
        excludesOutside = try reader.flag("exclude_outside")
        antialias = try reader.flag("antialias")
        extrapolation = try reader.number("extrapolation")
    }

    public var encoded: Attributes {
        let all = [
            "mode": mode.rawValue, "height": "\(h.size)", "width": "\(w.size)", "scale_h": Self.text(h.scale),
            "scale_w": Self.text(w.scale), "coordinates": coordinates.rawValue, "nearest": nearest.rawValue,
            "cubic_a": Self.text(cubicA), "exclude_outside": excludesOutside ? "yes" : "no",
            "antialias": antialias ? "yes" : "no", "extrapolation": Self.text(extrapolation),
            "crop_top": Self.text(h.cropStart), "crop_left": Self.text(w.cropStart),
            "crop_bottom": Self.text(h.cropEnd), "crop_right": Self.text(w.cropEnd),
        ]
        return all.filter { entry in !Self.attributes.contains { ($0.name, $0.defaultText) == (entry.key, entry.value) }
        }
    }

    /// Whole numbers as defaults are written.
    private static func text(_ number: Double) -> String { Int(exactly: number).map { "\($0)" } ?? "\(number)" }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        for number in [cubicA, h.cropStart, h.cropEnd, w.cropStart, w.cropEnd] {
            try Self.check("cubic_a or crop", number, in: Self.fractions)
        }
        try Self.check("extrapolation", extrapolation, in: Self.values)
        let rows = try Self.size("height", "scale_h", h, of: src.h)
        return Shape(n: src.n, h: rows, w: try Self.size("width", "scale_w", w, of: src.w), c: src.c)
    }

    /// The extent of the result along an axis of `size` elements.
    private static func size(
        _ sizeName: String, _ scaleName: String, _ axis: Axis, of size: Int
    ) throws(RengaError) -> Int {
        try check(sizeName, axis.size, in: sizes)
        try check(scaleName, axis.scale, in: scales)
        guard axis.scale == 0 || axis.scale >= 1 / largestScale else {
            throw RengaError(
                .invalidArgument, "\(name): option '\(scaleName)' must be 0 or at least 1/\(Int(largestScale))")
        }
        // In float, as PyTorch and ONNX Runtime multiply.
        let scaled = axis.scale == 0 ? size : Int((Float(size) * Float(axis.scale)).rounded(.down))
        let result = axis.size == 0 ? scaled : axis.size
        guard (1...largestSize).contains(result), axis.scale == 0 || abs(result - scaled) <= 1 else {
            throw RengaError(
                .shapeMismatch,
                "\(sizeName)=\(axis.size), \(scaleName)=\(axis.scale) make \(scaled) of \(size); must be in "
                    + "1...\(largestSize), and size and scale agree")
        }
        return result
    }
}
