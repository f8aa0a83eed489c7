// ONNXHandlers+Layers.swift: matrix products, normalisations and softmax: whatever works along the channels.
// Not here: convolutions and pooling (ONNXHandlers+Windows.swift), functions of each element (ONNXHandlers+Elements.swift).
import RengaNetwork

extension ONNXHandlers {
    /// A map of which `axis` is all channels, flattened for that where it must be; and where in memory each of the axis's elements is.
    private static func features(
        _ importer: ONNXImporter, _ node: ONNXNode, _ axis: Int
    ) throws(RengaError) -> (id: ValueID, view: ONNXView, shape: Shape, places: [Int]) {
        let (id, view, shape) = try importer.map(node)
        if let places = view.channelPlaces(axis, shape) { return (id, view, shape, places) }
        let flat = view.flattened(shape)
        let vector = Shape(n: 1, h: 1, w: 1, c: shape.countPerImage)
        guard let places = flat.channelPlaces(axis, vector) else {
            throw RengaError(.unsupported, "axis \(axis) of its input is neither the channels nor all of an image")
        }
        return (try importer.flatten(node, .nhwc, id), flat, vector, places)
    }

    /// Adds a matrix product along `axis`: a linear layer on vectors, a convolution of 1 x 1 on maps. `weight` has the axes (C, K) or (K, C).
    private static func product(
        _ importer: ONNXImporter, _ node: ONNXNode, axis: Int, _ constant: ONNXConstant, isTransposed: Bool,
        factor: Float = 1, bias: [Double]?
    ) throws(RengaError) -> (id: ValueID, view: ONNXView) {
        var (id, view, shape, places) = try features(importer, node, axis)
        let (c, k) =
            isTransposed
            ? (constant.dimensions[1], constant.dimensions[0]) : (constant.dimensions[0], constant.dimensions[1])
        guard c == shape.c, k >= 1 else {
            throw RengaError(.shapeMismatch, "its weight \(constant.dimensions) does not fit \(shape.c) channels")
        }
        let isVector = shape.h == 1 && shape.w == 1
        let rows = places.map { $0.saturatingTimes(k) }
        let columns = Array(0..<k)
        let weight = ONNXWeight(
            name: "weight", role: .weight, dimensions: isVector ? [c, k] : [1, 1, c, k], constant: constant,
            places: isTransposed ? [columns, rows] : [rows, columns], factor: factor)
        let op: any Operator =
            isVector
            ? Linear(channels: k, bias: bias != nil)
            : Convolution(channels: k, window: Window(kernel: 1), bias: bias != nil)
        let offsets = bias.map { [ONNXWeight("bias", .bias, $0)] } ?? []
        id = try importer.add(node, op, [id], [weight] + offsets, like: node.inputs[1])
        view.axes[axis] = ONNXView.whole(.c, k)
        return (id, view)
    }

    static func gemm(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let weight = try importer.required(node, 1, "second matrix")
        let isTransposed = node.attributes["transB"]?.integer == 1
        let value = try importer.pending(node, 0)
        guard weight.dimensions.count == 2, value.view.rank == 2 else {
            throw RengaError(.unsupported, "its matrices do not have two axes")
        }
        let axis = node.attributes["transA"]?.integer == 1 ? 0 : 1
        let k = weight.dimensions[isTransposed ? 0 : 1]
        let beta = Double(node.attributes["beta"]?.float ?? 1)
        var bias: [Double]?
        if let constant = importer.constant(node, 2) {
            guard constant.count == 1 || (constant.count == k && constant.dimensions.last == k) else {
                throw RengaError(.unsupported, "its constants \(constant.dimensions) differ between images")
            }
            let values = try constant.values()
            bias = (0..<k).map { beta * values[values.count == 1 ? 0 : $0] }
        }
        var (id, view) = try product(
            importer, node, axis: axis, weight, isTransposed: isTransposed,
            factor: node.attributes["alpha"]?.float ?? 1, bias: bias)
        if axis == 0 { view.axes.swapAt(0, 1) }
        if importer.has(node, 2), bias == nil {
            guard beta == 1 else { throw RengaError(.unsupported, "beta is \(beta) with a map as third matrix") }
            let other = try importer.map(node, 2)
            (id, view) = try combine(importer, node, .add, (id, view), (other.id, other.view))
        }
        importer.set(node, id, view)
    }

    static func matrixProduct(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        var weight = try importer.required(node, 1, "second matrix")
        while weight.dimensions.count > 2, weight.dimensions.first == 1 {
            weight = try weight.reshaped(Array(weight.dimensions.dropFirst()))
        }
        let value = try importer.pending(node, 0)
        guard weight.dimensions.count == 2, value.view.rank >= 2 else {
            throw RengaError(
                .unsupported, "its second matrix is \(weight.dimensions), expected one of two axes for all images")
        }
        let (id, view) = try product(
            importer, node, axis: value.view.rank - 1, weight, isTransposed: false, bias: nil)
        importer.set(node, id, view)
    }

    static func softmax(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let value = try importer.pending(node, 0)
        let isOld = importer.operatorSet < 13
        guard let axis = value.view.index(node.attributes["axis"]?.integer ?? (isOld ? 1 : -1)) else {
            throw RengaError(.shapeMismatch, "its axis is beyond the input's")
        }
        // Old operator sets take it over all axes from this one on.
        let along = isOld ? value.view.axes.indices.filter { $0 >= axis && !value.view.axes[$0].isEmpty } : [axis]
        guard along.count <= 1 else {
            throw RengaError(.unsupported, "before operator set 13 it is over all axes from \(axis) on, not over one")
        }
        let isLog = node.type == "LogSoftmax"
        let (map, mapView, shape) = try importer.map(node)
        switch letter(mapView, along.first ?? axis, shape) {
        case .h: importer.set(node, try importer.add(node, Softmax(log: isLog, axis: .h), [map]), mapView)
        case .w: importer.set(node, try importer.add(node, Softmax(log: isLog, axis: .w), [map]), mapView)
        default:
            let (id, view, _, _) = try features(importer, node, along.first ?? axis)
            importer.set(node, try importer.add(node, Softmax(log: isLog), [id]), view)
        }
    }

    static func batchNorm(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let attributes = node.attributes
        guard attributes["training_mode"]?.integer != 1, attributes["spatial"]?.integer != 0,
            importer.operatorSet >= 7 || attributes["is_test"]?.integer == 1
        else { throw RengaError(.unsupported, "it uses statistics of the batch, or normalises each pixel by itself") }
        try importer.refuseOutputs(node, from: 1, "statistics of the batch")
        let (id, view, shape, places) = try features(importer, node, 1)
        var parameters: [ONNXWeight] = []
        let kinds: [(name: String, role: ParameterRole)] = [
            ("gamma", .gamma), ("beta", .beta), ("running_mean", .runningMean), ("running_variance", .runningVariance),
        ]
        for (index, kind) in kinds.enumerated() {
            let values = try importer.required(node, index + 1, kind.name).values()
            guard values.count == shape.c else {
                throw RengaError(.shapeMismatch, "its \(kind.name) has \(values.count) numbers for \(shape.c) channels")
            }
            var ordered = values
            for (element, place) in places.enumerated() { ordered[place] = values[element] }
            parameters.append(ONNXWeight(kind.name, kind.role, ordered))
        }
        // ONNX weighs the old statistics, Renga the new ones.
        let momentum = ((1 - decimal(attributes["momentum"]?.float ?? 0.9)) * 1e6).rounded() / 1e6
        let op = BatchNorm(
            epsilon: decimal(attributes["epsilon"]?.float ?? 1e-5), momentum: min(max(momentum, 0), 1))
        importer.set(node, try importer.add(node, op, [id], parameters, like: node.inputs[1]), view)
    }

    /// The number that was meant: 0.1, not the nearest float's 0.10000000149.
    static func decimal(_ float: Float) -> Double { Double("\(float)") ?? Double(float) }

    static func localResponseNorm(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let (id, view, shape) = try importer.map(node)
        guard view.isChannels(1, shape) else {
            throw RengaError(.unsupported, "its second axis is not the channels in order")
        }
        let attributes = node.attributes
        let op = LocalResponseNorm(
            size: attributes["size"]?.integer ?? 0, alpha: decimal(attributes["alpha"]?.float ?? 1e-4),
            beta: decimal(attributes["beta"]?.float ?? 0.75), bias: decimal(attributes["bias"]?.float ?? 1))
        importer.set(node, try importer.add(node, op, [id]), view)
    }
}
