// ONNXConstant.swift: tensors whose numbers are known at import: initialisers, still in their file, and what is computed of them and of shapes.
// Not here: the operators on them (ONNXFolding.swift), large weights on their way into the network (ONNXWeights.swift).
import RengaNetwork

/// A tensor of known numbers. Whole numbers may depend on an open batch: `slopes[i] * batch + values[i]`.
struct ONNXConstant {
    /// Most numbers that are computed with: shapes, scales, per-channel parameters, not weights.
    static let mostNumbers = 1 << 20

    var dimensions: [Int]
    /// Computed numbers; whole ones are exact up to 2^53.
    private var computed: [Double] = []
    /// One for each number, or none where nothing depends on the batch.
    var slopes: [Double] = []
    var isInteger: Bool
    /// Whether it was computed from the size of an image.
    var dependsOnImage = false
    /// Numbers that still lie in their file, and the order in which its axes are to be taken.
    private(set) var tensor: ONNXTensor?
    private(set) var order: [Int] = []
    /// The dimensions of the numbers as they lie in the file.
    private(set) var stored: [Int] = []

    init(_ tensor: ONNXTensor) {
        (dimensions, isInteger, self.tensor) = (tensor.dimensions, !tensor.element.isFloating, tensor)
        (order, stored) = (Array(tensor.dimensions.indices), tensor.dimensions)
    }

    init(_ dimensions: [Int], _ values: [Double], slopes: [Double] = [], isInteger: Bool) {
        (self.dimensions, computed, self.isInteger) = (dimensions, values, isInteger)
        self.slopes = slopes.allSatisfy { $0 == 0 } ? [] : slopes
    }

    /// A list of whole numbers.
    init(_ integers: [Int]) {
        self.init([integers.count], integers.map { Double($0) }, isInteger: true)
    }

    var count: Int { dimensions.saturatingProduct }
    /// True where the axes are those of the file.
    var isInOrder: Bool { order == Array(dimensions.indices) }

    /// The numbers. Errors: unsupported where there are too many to compute with, or where they depend on the batch.
    func values() throws(RengaError) -> [Double] {
        guard slopes.isEmpty else {
            throw RengaError(.unsupported, "it computes with the number of images, which is open")
        }
        return try linear().values
    }

    /// The numbers with their slopes.
    func linear() throws(RengaError) -> (values: [Double], slopes: [Double]) {
        guard let tensor else { return (computed, slopes) }
        guard count <= Self.mostNumbers else {
            throw RengaError(
                .unsupported, "it computes with \(count) constants, more than \(Self.mostNumbers)")
        }
        let values = try tensor.values()
        guard !isInOrder else { return (values, []) }
        return (ONNXConstant.gathered(values, dimensions, ONNXConstant.strides(stored, order)), [])
    }

    /// Lists of places, one for each axis, in the order in which the axes lie in the file.
    func inStoredOrder(_ places: [[Int]]) -> [[Int]] {
        guard tensor != nil else { return places }
        var ordered = places
        for (axis, stored) in order.enumerated() { ordered[stored] = places[axis] }
        return ordered
    }

    /// All numbers as they lie in the file, however many.
    func storedValues() throws(RengaError) -> [Double] {
        try tensor?.values() ?? computed
    }

    /// Whole numbers; beyond Int they are clamped to it.
    func integers() throws(RengaError) -> [Int] {
        try values().map { value in
            if let integer = Int(exactly: value) { return integer }
            return value.isNaN ? 0 : value < 0 ? .min : .max
        }
    }

    /// The same numbers with other dimensions of the same product.
    func reshaped(_ dimensions: [Int]) throws(RengaError) -> ONNXConstant {
        var other = self
        if tensor != nil, !isInOrder {
            let (values, slopes) = try linear()
            other = ONNXConstant(dimensions, values, slopes: slopes, isInteger: isInteger)
        }
        other.dimensions = dimensions
        if other.tensor != nil { (other.order, other.stored) = (Array(dimensions.indices), dimensions) }
        return other
    }

    /// The axes in another order.
    func transposed(_ permutation: [Int]) throws(RengaError) -> ONNXConstant {
        let target = permutation.map { dimensions[$0] }
        if tensor != nil {
            var other = self
            other.dimensions = target
            other.order = permutation.map { order[$0] }
            return other
        }
        let (values, slopes) = try linear()
        let strides = ONNXConstant.strides(dimensions, permutation)
        return ONNXConstant(
            target, ONNXConstant.gathered(values, target, strides),
            slopes: slopes.isEmpty ? [] : ONNXConstant.gathered(slopes, target, strides), isInteger: isInteger)
    }

    /// The numbers with the extents of `dimensions` by repeating axes of extent 1, as NumPy broadcasts.
    func broadcast(to target: [Int]) throws(RengaError) -> (values: [Double], slopes: [Double]) {
        let (values, slopes) = try linear()
        if target == dimensions { return (values, slopes) }
        guard target.saturatingProduct <= Self.mostNumbers else {
            throw RengaError(
                .unsupported, "it computes with \(target.saturatingProduct) constants, more than \(Self.mostNumbers)")
        }
        let own = Array(repeating: 1, count: max(0, target.count - dimensions.count)) + dimensions
        guard own.count == target.count, zip(own, target).allSatisfy({ $0 == $1 || $0 == 1 }) else {
            throw RengaError(.shapeMismatch, "constants \(dimensions) do not broadcast to \(target)")
        }
        let strides = zip(own, Self.strides(own, Array(own.indices))).map { $0 == 1 ? 0 : $1 }
        return (
            Self.gathered(values, target, strides), slopes.isEmpty ? [] : Self.gathered(slopes, target, strides)
        )
    }

    /// The strides of the axes of dense `dimensions`, in the order of `permutation`.
    static func strides(_ dimensions: [Int], _ permutation: [Int]) -> [Int] {
        var strides = dimensions
        var stride = 1
        for axis in dimensions.indices.reversed() {
            strides[axis] = stride
            stride = stride.saturatingTimes(dimensions[axis])
        }
        return permutation.map { strides[$0] }
    }

    /// `values[offset + sum of index * stride]` for every index of `dimensions`; all of them must be there.
    static func gathered(_ values: [Double], _ dimensions: [Int], _ strides: [Int], offset: Int = 0) -> [Double] {
        var places = [offset]
        for (extent, stride) in zip(dimensions, strides) {
            places = places.flatMap { place in (0..<extent).map { place + $0 * stride } }
        }
        return places.map { values[$0] }
    }
}
