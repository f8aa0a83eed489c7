// Slice.swift: every so many rows, columns or channels of a map, from one place to another: options and shape rule.
// Not here: how it runs (kernels), neighbouring channels (ChannelSlice.swift).

/// dst[n,i,j,k] = src[n,start_h + i step_h,start_w + j step_w,start_c + k step_c]. src `[N,H,W,C]`, dst as many as there are.
public struct Slice {
    /// Places start, start + step, … before end, as Python counts them: below 0 from the end on, beyond the axis clamped to it.
    public struct Range: Sendable, Equatable {
        /// The first place.
        public var start: Int
        /// The first place that is not taken.
        public var end: Int
        /// From one place to the next; negative: backwards.
        public var step: Int

        /// Names the three; the whole axis by default.
        public init(start: Int = 0, end: Int = Slice.farthest, step: Int = 1) {
            (self.start, self.end, self.step) = (start, end, step)
        }

        /// The first place on an axis of `size` elements, and how many there are.
        public func resolved(size: Int) -> (first: Int, count: Int) {
            func clamped(_ place: Int, _ bounds: ClosedRange<Int>) -> Int {
                min(max(place < 0 ? place + size : place, bounds.lowerBound), bounds.upperBound)
            }
            if step > 0 {
                let (first, last) = (clamped(start, 0...size), clamped(end, 0...size))
                return (first, max((last - first + step - 1) / step, 0))
            }
            let (first, last) = (clamped(start, -1...size - 1), clamped(end, -1...size - 1))
            return (first, max((first - last - step - 1) / -step, 0))
        }
    }

    /// Rows.
    public var h: Range
    /// Columns.
    public var w: Range
    /// Channels.
    public var c: Range

    /// Farthest place that may be named: beyond the end of every axis, and its negative before the beginning.
    public static let farthest = 2 * Shape.largestExtent

    /// Makes a slice; numbers out of bounds are errors of the shape rule.
    public init(h: Range = Range(), w: Range = Range(), c: Range = Range()) { (self.h, self.w, self.c) = (h, w, c) }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Slice: Operator {
    public static let name = "slice"
    public static let arity = Arity.exactly(1)
    public static let attributes: [AttributeSpec] = [("h", "row"), ("w", "column"), ("c", "channel")].flatMap {
        [
            AttributeSpec(
                "start_\($0)", .integer(places), default: "0", "First \($1); negative: counted from the end."),
            AttributeSpec("end_\($0)", .integer(places), default: "\(farthest)", "First \($1) not taken."),
            AttributeSpec("step_\($0)", .integer(places), default: "1", "From one \($1) to the next; not 0."),
        ]
    }
    private static let places = -farthest...farthest

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        func range(_ axis: String) throws(RengaError) -> Range {
            Range(
                start: try reader.integer("start_\(axis)"), end: try reader.integer("end_\(axis)"),
                step: try reader.integer("step_\(axis)"))
        }
        (h, w, c) = (try range("h"), try range("w"), try range("c"))
    }

    public var encoded: Attributes {
        var attributes: Attributes = [:]
        for (axis, range) in [("h", h), ("w", w), ("c", c)] {
            if range.start != 0 { attributes["start_\(axis)"] = "\(range.start)" }
            if range.end != Self.farthest { attributes["end_\(axis)"] = "\(range.end)" }
            if range.step != 1 { attributes["step_\(axis)"] = "\(range.step)" }
        }
        return attributes
    }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        for (axis, range) in [("h", h), ("w", w), ("c", c)] {
            try Self.check("start_\(axis)", range.start, in: Self.places)
            try Self.check("end_\(axis)", range.end, in: Self.places)
            try Self.check("step_\(axis)", range.step, in: Self.places)
            guard range.step != 0 else {
                throw RengaError(.invalidArgument, "\(Self.name): option 'step_\(axis)' must not be 0")
            }
        }
        let (rows, columns, channels) = (h.resolved(size: src.h), w.resolved(size: src.w), c.resolved(size: src.c))
        guard min(rows.count, columns.count, channels.count) >= 1 else {
            throw RengaError(.shapeMismatch, "the slice takes nothing of the input \(src)")
        }
        return Shape(n: src.n, h: rows.count, w: columns.count, c: channels.count)
    }
}
