// ONNXFolding.swift: the nodes whose inputs are all known at import: shapes and what exporters compute of them, scales and offsets.
// In double, on at most ONNXConstant.mostNumbers numbers. Not here: nodes on maps (ONNXHandlers…).
import Glibc
import RengaNetwork

/// Computes nodes on constants.
enum ONNXFolding {
    typealias Fold = @Sendable (ONNXImporter, ONNXNode, [ONNXConstant]) throws(RengaError) -> [ONNXConstant]

    /// The operators that are computed at import where all their inputs are known.
    static let table: [String: Fold] = [
        "Identity": { _, _, inputs throws(RengaError) in [inputs[0]] },
        "Dropout": { _, _, inputs throws(RengaError) in [inputs[0]] },
        "Cast": cast,
        "Shape": { importer, node, inputs throws(RengaError) in
            let all = inputs[0].dimensions.map { ONNXExtent(count: $0, isPerImage: false) }
            return [importer.shape(node, all)]
        },
        "Size": { _, _, inputs throws(RengaError) in [ONNXConstant([], [Double(inputs[0].count)], isInteger: true)] },
        "Gather": gather, "Slice": slice, "Concat": concat, "Range": range, "ConstantOfShape": constantOfShape,
        "Reshape": reshape, "Squeeze": reshape, "Unsqueeze": reshape, "Flatten": reshape, "Transpose": transpose,
        "Expand": { _, _, inputs throws(RengaError) in
            let target = try broadcastDimensions([inputs[0].dimensions, inputs[1].integers()])
            let (values, slopes) = try inputs[0].broadcast(to: target)
            return [ONNXConstant(target, values, slopes: slopes, isInteger: inputs[0].isInteger)]
        },
        "Add": binary(+), "Sub": binary(-), "Mul": binary(*), "Div": binary(/), "Pow": binary(pow),
        "Max": binary(max), "Min": binary(min), "Mod": binary { $0 - $1 * ($0 / $1).rounded(.down) },
        "Equal": binary { $0 == $1 ? 1 : 0 }, "Less": binary { $0 < $1 ? 1 : 0 },
        "Greater": binary { $0 > $1 ? 1 : 0 }, "And": binary { $0 * $1 }, "Or": binary(max),
        "Where": { _, _, inputs throws(RengaError) in
            let target = try broadcastDimensions(inputs.map(\.dimensions))
            let condition = try ONNXConstant(inputs[0].dimensions, inputs[0].values(), isInteger: true)
                .broadcast(to: target).values
            let (a, b) = (try inputs[1].broadcast(to: target), try inputs[2].broadcast(to: target))
            let picked = { (a: [Double], b: [Double]) in condition.indices.map { condition[$0] != 0 ? a[$0] : b[$0] } }
            let zero = [Double](repeating: 0, count: condition.count)
            let slopes = picked(a.slopes.isEmpty ? zero : a.slopes, b.slopes.isEmpty ? zero : b.slopes)
            return [
                ONNXConstant(target, picked(a.values, b.values), slopes: slopes, isInteger: inputs[1].isInteger)
            ]
        },
        "Neg": unary { -$0 }, "Abs": unary { $0.magnitude }, "Sqrt": unary { $0.squareRoot() },
        "Reciprocal": unary { 1 / $0 }, "Exp": unary(exp), "Log": unary(log), "Floor": unary { $0.rounded(.down) },
        "Ceil": unary { $0.rounded(.up) }, "Round": unary { $0.rounded(.toNearestOrEven) },
        "Not": unary { $0 == 0 ? 1 : 0 },
        "ReduceProd": { _, node, inputs throws(RengaError) in
            let values = try inputs[0].values()
            let keeps = node.attributes["keepdims"]?.integer != 0
            guard inputs[0].dimensions.count == 1 else { throw unknown }
            return [ONNXConstant(keeps ? [1] : [], [values.reduce(1, *)], isInteger: inputs[0].isInteger)]
        },
    ]

    /// Operators that need more than one of their inputs.
    static let fewest = ["Gather": 2, "Expand": 2, "Where": 3]

    static let unknown = RengaError(.unsupported, "constants of these shapes are not computed with")

    // MARK: - Arithmetic

    private static func unary(_ function: @escaping @Sendable (Double) -> Double) -> Fold {
        { _, _, inputs throws(RengaError) in
            let input = inputs[0]
            return [ONNXConstant(input.dimensions, try input.values().map(function), isInteger: input.isInteger)]
        }
    }

    /// An operator of two (or more, in turn) constants. Only + - * / know what becomes of a part that grows with the batch.
    private static func binary(_ function: @escaping @Sendable (Double, Double) -> Double) -> Fold {
        { _, node, inputs throws(RengaError) in
            var result = inputs[0]
            for other in inputs.dropFirst() {
                let target = try broadcastDimensions([result.dimensions, other.dimensions])
                let (a, b) = (try result.broadcast(to: target), try other.broadcast(to: target))
                let isInteger = result.isInteger && other.isInteger
                var values = zip(a.values, b.values).map(function)
                if node.type == "Div", isInteger { values = values.map { $0.rounded(.towardZero) } }
                let slopes = try slopes(node.type, a, b)
                result = ONNXConstant(target, values, slopes: slopes, isInteger: isInteger)
            }
            return [result]
        }
    }

    private static func slopes(
        _ type: String, _ a: (values: [Double], slopes: [Double]), _ b: (values: [Double], slopes: [Double])
    ) throws(RengaError) -> [Double] {
        let open = RengaError(.unsupported, "it computes with the number of images, which is open")
        switch (type, a.slopes.isEmpty, b.slopes.isEmpty) {
        case (_, true, true): return []
        case ("Add", true, _): return b.slopes
        case ("Add", _, true), ("Sub", _, true): return a.slopes
        case ("Add", _, _): return zip(a.slopes, b.slopes).map(+)
        case ("Sub", true, _): return b.slopes.map { -$0 }
        case ("Sub", _, _): return zip(a.slopes, b.slopes).map(-)
        case ("Mul", false, true): return zip(a.slopes, b.values).map(*)
        case ("Mul", true, false): return zip(a.values, b.slopes).map(*)
        case ("Div", false, true):
            let parts = zip(zip(a.values, a.slopes), b.values).map { ($0.0 / $1, $0.1 / $1) }
            // Exact for every batch, or not known.
            guard parts.allSatisfy({ $0.0 == $0.0.rounded() && $0.1 == $0.1.rounded() }) else { throw open }
            return parts.map(\.1)
        default: throw open
        }
    }

    /// NumPy's rule.
    static func broadcastDimensions(_ all: [[Int]]) throws(RengaError) -> [Int] {
        let rank = all.map(\.count).max() ?? 0
        var target = [Int](repeating: 1, count: rank)
        for dimensions in all {
            for (offset, extent) in dimensions.reversed().enumerated() where extent != 1 {
                let axis = rank - 1 - offset
                guard extent >= 0, target[axis] == 1 || target[axis] == extent else {
                    throw RengaError(.shapeMismatch, "constants \(all) do not broadcast")
                }
                target[axis] = extent
            }
        }
        return target
    }

    private static func cast(
        _ importer: ONNXImporter, _ node: ONNXNode, _ inputs: [ONNXConstant]
    ) throws(RengaError) -> [ONNXConstant] {
        guard let element = ONNXElement(rawValue: node.attributes["to"]?.integer ?? 0) else {
            throw RengaError(.unsupported, "it casts to the element type \(node.attributes["to"]?.integer ?? 0)")
        }
        var result = inputs[0]
        if element.isFloating {
            // A cast between floating types changes no weight by more than its own rounding.
            result.isInteger = false
            return [result]
        }
        guard !result.isInteger || element == .bool else { return [result] }
        let (values, slopes) = try result.linear()
        let whole = values.map { element == .bool ? ($0 == 0 ? 0 : 1) : $0.rounded(.towardZero) }
        return [ONNXConstant(result.dimensions, whole, slopes: slopes, isInteger: true)]
    }

    // MARK: - Shapes

    private static func reshape(
        _ importer: ONNXImporter, _ node: ONNXNode, _ inputs: [ONNXConstant]
    ) throws(RengaError) -> [ONNXConstant] {
        let old = inputs[0].dimensions
        // A view whose factors are the axes themselves gives the same answer as for maps.
        let extents = old.map { ONNXExtent(count: $0, isPerImage: false) }
        let targets = try importer.targets(node, extents)
        let known = targets.compactMap { $0?.count }.saturatingProduct
        let new = targets.map { $0?.count ?? (known == 0 ? 0 : inputs[0].count / known) }
        guard new.saturatingProduct == inputs[0].count else {
            throw RengaError(.shapeMismatch, "constants \(old) cannot become \(new)")
        }
        return [try inputs[0].reshaped(new)]
    }

    private static func transpose(
        _ importer: ONNXImporter, _ node: ONNXNode, _ inputs: [ONNXConstant]
    ) throws(RengaError) -> [ONNXConstant] {
        let axes = Array(inputs[0].dimensions.indices)
        let permutation = node.attributes["perm"]?.integers ?? axes.reversed()
        guard permutation.sorted() == axes else { throw RengaError(.shapeMismatch, "perm \(permutation) is none") }
        return [try inputs[0].transposed(permutation)]
    }

    private static func gather(
        _ importer: ONNXImporter, _ node: ONNXNode, _ inputs: [ONNXConstant]
    ) throws(RengaError) -> [ONNXConstant] {
        let (values, slopes) = try inputs[0].linear()
        let indices = try inputs[1].integers()
        guard inputs[0].dimensions.count == 1, inputs[1].dimensions.count <= 1 else { throw unknown }
        var places: [Int] = []
        for index in indices {
            let place = index < 0 ? index &+ values.count : index
            guard values.indices.contains(place) else {
                throw RengaError(.corruptData, "it takes element \(index) of \(values.count)")
            }
            places.append(place)
        }
        let dimensions = inputs[1].dimensions.isEmpty ? [] : [places.count]
        return [
            ONNXConstant(
                dimensions, places.map { values[$0] }, slopes: slopes.isEmpty ? [] : places.map { slopes[$0] },
                isInteger: inputs[0].isInteger)
        ]
    }

    private static func slice(
        _ importer: ONNXImporter, _ node: ONNXNode, _ inputs: [ONNXConstant]
    ) throws(RengaError) -> [ONNXConstant] {
        let (values, slopes) = try inputs[0].linear()
        let ranges = try importer.slices(node, rank: inputs[0].dimensions.count)
        var (dimensions, strides) = (
            inputs[0].dimensions, ONNXConstant.strides(inputs[0].dimensions, Array(0..<inputs[0].dimensions.count))
        )
        var offset = 0
        for (axis, range) in ranges {
            let (first, count) = range.resolved(size: dimensions[axis])
            offset += first * strides[axis]
            strides[axis] *= range.step
            dimensions[axis] = count
        }
        let taken = { (all: [Double]) in
            dimensions.contains(0) || all.isEmpty ? [] : ONNXConstant.gathered(all, dimensions, strides, offset: offset)
        }
        return [ONNXConstant(dimensions, taken(values), slopes: taken(slopes), isInteger: inputs[0].isInteger)]
    }

    private static func concat(
        _ importer: ONNXImporter, _ node: ONNXNode, _ inputs: [ONNXConstant]
    ) throws(RengaError) -> [ONNXConstant] {
        guard inputs.allSatisfy({ $0.dimensions.count == 1 }) else { throw unknown }
        var (values, slopes): ([Double], [Double]) = ([], [])
        for input in inputs {
            let part = try input.linear()
            values += part.values
            slopes += part.slopes.isEmpty ? [Double](repeating: 0, count: part.values.count) : part.slopes
            guard values.count <= ONNXConstant.mostNumbers else { throw unknown }
        }
        return [ONNXConstant([values.count], values, slopes: slopes, isInteger: inputs.allSatisfy(\.isInteger))]
    }

    private static func range(
        _ importer: ONNXImporter, _ node: ONNXNode, _ inputs: [ONNXConstant]
    ) throws(RengaError) -> [ONNXConstant] {
        guard inputs.count == 3, let start = try inputs[0].values().first, let end = try inputs[1].values().first,
            let step = try inputs[2].values().first, step != 0
        else { throw unknown }
        let count = max(((end - start) / step).rounded(.up), 0)
        guard count <= Double(ONNXConstant.mostNumbers) else { throw unknown }
        let values = (0..<Int(count)).map { start + Double($0) * step }
        return [ONNXConstant([values.count], values, isInteger: inputs.allSatisfy(\.isInteger))]
    }

    private static func constantOfShape(
        _ importer: ONNXImporter, _ node: ONNXNode, _ inputs: [ONNXConstant]
    ) throws(RengaError) -> [ONNXConstant] {
        let dimensions = try inputs[0].integers()
        let count = dimensions.contains { $0 < 0 } ? .max : dimensions.saturatingProduct
        guard count <= ONNXConstant.mostNumbers else { throw unknown }
        let fill = node.attributes["value"]?.tensor
        let value = try fill?.values().first ?? 0
        return [
            ONNXConstant(
                dimensions, [Double](repeating: value, count: count),
                isInteger: fill.map { !$0.element.isFloating } ?? false)
        ]
    }
}
