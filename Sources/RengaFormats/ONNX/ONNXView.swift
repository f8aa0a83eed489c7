// ONNXView.swift: how the axes of an ONNX tensor lie on a map [N,H,W,C]. Transpose, Reshape, Squeeze and Flatten only change this view:
// nothing moves, and whoever needs an order (weights, outputs) asks for it. Not here: constants (ONNXConstant.swift), any operator.
import RengaNetwork

/// A part of an axis of a map: `extent` steps of `stride` elements along one of its axes.
struct ONNXFactor: Equatable {
    enum Axis: UInt8 { case n, h, w, c }
    var axis: Axis
    var stride: Int
    /// Of the batch: 0 where the file leaves it open.
    var extent: Int

    static func batch(_ extent: Int) -> ONNXFactor { ONNXFactor(axis: .n, stride: 1, extent: extent) }
}

/// An extent of an ONNX shape: `perImage` for each image of an open batch, or just so many.
struct ONNXExtent: Equatable {
    var count: Int
    var isPerImage: Bool
}

/// The axes of an ONNX tensor, outermost first; each is made of factors of the map, outermost first. An axis of extent 1 has none.
struct ONNXView: Equatable {
    var axes: [[ONNXFactor]]

    init(_ axes: [[ONNXFactor]]) { self.axes = axes }

    /// The axes of a map with these letters, "nchw"; extents of 1 (but the batch) have no factor.
    init(_ letters: String, batch: Int, _ shape: Shape) {
        axes = letters.utf8.map { letter in
            switch letter {
            case UInt8(ascii: "n"): [.batch(batch)]
            case UInt8(ascii: "h"): Self.whole(.h, shape.h)
            case UInt8(ascii: "w"): Self.whole(.w, shape.w)
            default: Self.whole(.c, shape.c)
            }
        }
    }

    /// A whole axis of a map.
    static func whole(_ axis: ONNXFactor.Axis, _ extent: Int) -> [ONNXFactor] {
        extent == 1 ? [] : [ONNXFactor(axis: axis, stride: 1, extent: extent)]
    }

    var rank: Int { axes.count }

    /// The extents of the ONNX tensor.
    var extents: [ONNXExtent] { axes.map(Self.extent) }

    static func extent(_ factors: [ONNXFactor]) -> ONNXExtent {
        let isOpen = factors.contains { $0.axis == .n && $0.extent == 0 }
        let count = factors.reduce(1) { $0.saturatingTimes($1.axis == .n ? max($1.extent, 1) : $1.extent) }
        return ONNXExtent(count: count, isPerImage: isOpen)
    }

    /// An axis named as ONNX does, negative from the end; nil beyond.
    func index(_ axis: Int) -> Int? {
        let index = axis < 0 ? axis &+ rank : axis
        return (0..<rank).contains(index) ? index : nil
    }

    /// True where the axes are those of `letters` in this order, each whole and as it lies in memory.
    func matches(_ letters: String, _ shape: Shape) -> Bool {
        guard let batch = axes.lazy.flatMap({ $0 }).first(where: { $0.axis == .n }) else { return false }
        return self == ONNXView(letters, batch: batch.extent, shape)
    }

    /// All factors in order: what the tensor's memory looks like.
    var flat: [ONNXFactor] { Self.merged(axes.flatMap { $0 }) }

    /// True where the ONNX tensor's memory is that of the map in the order of `letters`.
    func isOrdered(_ letters: String, _ shape: Shape) -> Bool {
        flat == ONNXView(letters, batch: flat.first?.extent ?? 0, shape).flat
    }

    /// For an axis that is made of all channels and nothing else: where in memory each of its elements is. nil: it is something else.
    func channelPlaces(_ axis: Int, _ shape: Shape) -> [Int]? {
        guard axes.indices.contains(axis) else { return nil }
        let factors = axes[axis]
        guard factors.allSatisfy({ $0.axis == .c }), Self.extent(factors).count == shape.c else { return nil }
        var places = [0]
        for factor in factors {
            places = places.flatMap { place in (0..<factor.extent).map { place + $0 * factor.stride } }
        }
        return places
    }

    /// True where an axis is the channels as they lie.
    func isChannels(_ axis: Int, _ shape: Shape) -> Bool {
        axes.indices.contains(axis) && axes[axis] == Self.whole(.c, shape.c)
    }

    /// The view of the same tensor after the map became a vector in the order of its memory.
    func flattened(_ shape: Shape) -> ONNXView {
        let strides: [ONNXFactor.Axis: Int] = [.h: shape.w &* shape.c, .w: shape.c, .c: 1]
        return ONNXView(
            axes.map { factors in
                Self.merged(
                    factors.map { factor in
                        guard let stride = strides[factor.axis] else { return factor }
                        return ONNXFactor(axis: .c, stride: stride &* factor.stride, extent: factor.extent)
                    })
            })
    }

    /// Neighbours that are one stretch become one factor.
    private static func merged(_ factors: [ONNXFactor]) -> [ONNXFactor] {
        var merged: [ONNXFactor] = []
        for factor in factors {
            if let last = merged.last, last.axis == factor.axis, last.axis != .n,
                last.stride == factor.stride &* factor.extent
            {
                merged[merged.count - 1] = ONNXFactor(
                    axis: factor.axis, stride: factor.stride, extent: last.extent &* factor.extent)
            } else {
                merged.append(factor)
            }
        }
        return merged
    }
}

// MARK: - Reshape

extension ONNXView {
    /// The tensor with other extents in the same order of memory; `nil` stands for "what is left". nil where an extent cuts across the map.
    func reshaped(_ targets: [ONNXExtent?]) -> ONNXView? {
        var factors = flat
        var front: [[ONNXFactor]] = []
        var back: [[ONNXFactor]] = []
        var rest = targets[...]
        while let target = rest.first, let target {
            guard let taken = Self.take(target, from: &factors, atEnd: false) else { return nil }
            front.append(taken)
            rest = rest.dropFirst()
        }
        while let target = rest.last, let target {
            guard let taken = Self.take(target, from: &factors, atEnd: true) else { return nil }
            back.insert(taken, at: 0)
            rest = rest.dropLast()
        }
        if rest.isEmpty {
            // A batch of 1 that no extent asked for stays with its neighbour.
            guard factors.allSatisfy({ $0 == .batch(1) }) else { return nil }
            guard !factors.isEmpty else { return ONNXView(front) }
            guard !front.isEmpty else { return nil }
            front[front.count - 1] += factors
            return ONNXView(front)
        }
        guard rest.count == 1 else { return nil }
        return ONNXView(front + [factors] + back)
    }

    /// Takes factors for one extent off the list, splitting the last of them where it must.
    private static func take(
        _ target: ONNXExtent, from factors: inout [ONNXFactor], atEnd: Bool
    ) -> [ONNXFactor]? {
        var taken: [ONNXFactor] = []
        var left = target.count
        var needsBatch = target.isPerImage
        while left > 1 || needsBatch || (factors.first == .batch(1) && !atEnd && taken.isEmpty) {
            guard var factor = atEnd ? factors.popLast() : (factors.isEmpty ? nil : factors.removeFirst()) else {
                return nil
            }
            if factor.axis == .n {
                guard needsBatch == (factor.extent == 0), left % max(factor.extent, 1) == 0 else { return nil }
                needsBatch = false
                left /= max(factor.extent, 1)
            } else if left >= factor.extent {
                guard left % factor.extent == 0 else { return nil }
                left /= factor.extent
            } else {
                guard left > 1, factor.extent % left == 0 else { return nil }
                let outer = ONNXFactor(
                    axis: factor.axis, stride: factor.stride &* (atEnd ? left : factor.extent / left),
                    extent: atEnd ? factor.extent / left : left)
                let inner = ONNXFactor(axis: factor.axis, stride: factor.stride, extent: factor.extent / outer.extent)
                if atEnd { factors.append(outer) } else { factors.insert(inner, at: 0) }
                factor = atEnd ? inner : outer
                left = 1
            }
            if atEnd { taken.insert(factor, at: 0) } else { taken.append(factor) }
        }
        return merged(taken)
    }
}
