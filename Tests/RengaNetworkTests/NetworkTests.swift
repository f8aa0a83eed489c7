// NetworkTests: the builder and the network: what they refuse and how they say it; questions to the graph; summaries.
import RengaNetwork
import TestSupport
import XCTest

final class NetworkTests: XCTestCase {
    private func conv(_ channels: Int, bias: Bool = true) -> Convolution {
        Convolution(channels: channels, window: Window(kernel: 3, pad: 1), bias: bias)
    }

    /// input -> conv -> relu -> add(conv, relu) -> pool -> fc
    private func small() throws -> NetworkBuilder {
        var builder = NetworkBuilder()
        let input = try builder.addInput(h: 6, w: 5, c: 3)
        let first = try builder.add(conv(4), name: "first", input)
        let relu = try builder.add(ReLU(), first)
        let sum = try builder.add(Add(), first, relu)
        let pool = try builder.add(GlobalAveragePool(), sum)
        try builder.add(Linear(channels: 2), name: "fc", pool)
        return builder
    }

    func testBuilding() throws {
        let builder = try small()
        XCTAssertEqual(builder.nodes.map(\.name), ["first", "relu_1", "add_1", "global_average_pool_1", "fc"])
        XCTAssertEqual(try builder.shape(of: 3), Shape(n: 1, h: 6, w: 5, c: 4))
        let network = try builder.build(outputs: [5])
        XCTAssertEqual(network.parameterNames, ["first.weight", "first.bias", "fc.weight", "fc.bias"])
        XCTAssertEqual(Set(network.parameters.keys), Set(network.parameterNames))
        XCTAssertEqual(network.structure.consumers(), [[0], [1, 2], [2], [3], [4], []])
        XCTAssertEqual(network.structure.isOutput(), [false, false, false, false, false, true])
        XCTAssertNil(network.structure.node(making: 0))
        XCTAssertEqual(network.structure.node(making: 5), 4)
        XCTAssertNil(network.structure.node(making: 6))
        XCTAssertEqual(try network.shapes(n: 7, h: 9, w: 2)[3], Shape(n: 7, h: 9, w: 2, c: 4))
    }

    func testBuilderSaysWhatIsWrong() throws {
        var builder = try small()
        assertFails(.invalidArgument, "inputs come first") { try builder.addInput("late", h: 1, w: 1, c: 1) }
        assertFails(.invalidArgument, "'fc'", "twice") { try builder.add(ReLU(), name: "fc", 0) }
        assertFails(.invalidArgument, "'input'", "twice") { try builder.add(ReLU(), name: "input", 0) }
        assertFails(.invalidArgument, "layer 'x' (relu)", "no value 6") { try builder.add(ReLU(), name: "x", 6) }
        assertFails(.invalidArgument, "no value -1") { try builder.add(ReLU(), name: "x", -1) }
        assertFails(.invalidArgument, "expected 1 inputs, got 2") { try builder.add(ReLU(), name: "x", 0, 0) }
        assertFails(.invalidArgument, "expected 2 to 64 inputs, got 1") { try builder.add(Add(), name: "x", 0) }
        assertFails(.invalidArgument, "got 65") {
            try builder.add(Add(), name: "x", sources: Array(repeating: 0, count: 65))
        }
        assertFails(.shapeMismatch, "layer 'x' (add)", "[1,6,5,4]") { try builder.add(Add(), name: "x", 0, 1) }
        assertFails(.shapeMismatch, "layer 'y'", "flat") { try builder.add(Linear(channels: 1), name: "y", 1) }
        for name in ["", "a b", "é", "a\"", "a\n", String(repeating: "a", count: 201)] {
            assertFails(.invalidArgument, "name") { try builder.add(ReLU(), name: name, 0) }
        }
        assertFails(.notFound, "layer 'z'", "unknown operator") {
            try builder.add(operator: "conv", [:], name: "z", sources: [0])
        }
        assertFails(.invalidArgument, "layer 'z'", "'rate'") {
            try builder.add(operator: "dropout", ["rate": "2"], name: "z", sources: [0])
        }
        assertFails(.invalidArgument, "no value 99") { try builder.shape(of: 99) }
        assertFails(.invalidArgument, "output 6") { try builder.build(outputs: [6]) }
        assertFails(.invalidArgument, "at least one output") { try builder.build(outputs: []) }
        assertFails(.invalidArgument, "at least one input") { try NetworkBuilder().build(outputs: [0]) }
        assertFails(.notFound, "'fc.gamma'") {
            var rule = Initialization.heFanIn
            rule.overrides = ["fc.gamma": .constant(0)]
            return try builder.build(outputs: [5], initialization: rule)
        }
        // None of this left a trace.
        XCTAssertEqual(builder.nodes.count, 5)
        XCTAssertEqual(builder.valueCount, 6)
        XCTAssertEqual(try builder.add(operator: "relu", [:], sources: [0]), 6)
        XCTAssertEqual(builder.nodes.last?.name, "relu_2")
    }

    func testInputsOutOfBounds() {
        for (h, w, c) in [(0, 1, 1), (1, -1, 1), (1, 1, Int.max), (1 << 20, 1 << 20, 2), (Int.min, 1, 1)] {
            var builder = NetworkBuilder()
            assertFails(.invalidArgument, "input") { try builder.addInput(h: h, w: w, c: c) }
            XCTAssertEqual(builder.valueCount, 0)
        }
    }

    /// A layer's name decides its initial weights: a refused layer must not use a made-up name up.
    func testARefusedLayerTakesNoName() throws {
        var builder = NetworkBuilder()
        let image = try builder.addInput(h: 4, w: 4, c: 1)
        assertFails(.shapeMismatch, "linear_1") { try builder.add(Linear(channels: 2), image) }
        let flat = try builder.add(Flatten(), image)
        try builder.add(Linear(channels: 2), flat)
        try builder.add(Linear(channels: 3), flat)
        XCTAssertEqual(builder.nodes.map(\.name), ["flatten_1", "linear_1", "linear_2"])
    }

    func testNetworkChecksItsParts() throws {
        let network = try small().build(outputs: [5])
        let (inputs, nodes) = (network.inputs, network.nodes)
        func make(
            nodes: [Node], outputs: [ValueID] = [5], parameters: [String: Parameter] = network.parameters
        ) throws -> Network {
            try Network(inputs: inputs, nodes: nodes, outputs: outputs, parameters: parameters)
        }
        XCTAssertNoThrow(try make(nodes: nodes))
        var forward = nodes
        forward[1] = Node(name: "relu_1", op: ReLU(), inputs: [2])
        assertFails(.invalidArgument, "'relu_1' reads value 2") { try make(nodes: forward) }
        forward[1] = Node(name: "relu_1", op: ReLU(), inputs: [])
        assertFails(.invalidArgument, "expected 1 inputs, got 0") { try make(nodes: forward) }
        assertFails(.invalidArgument, "output -1") { try make(nodes: nodes, outputs: [-1]) }
        var parameters = network.parameters
        parameters["fc.bias"] = nil
        assertFails(.notFound, "'fc.bias' [2] is missing") { try make(nodes: nodes, parameters: parameters) }
        parameters["fc.bias"] = Parameter(role: .bias, tensor: try Tensor(dimensions: [3]))
        assertFails(.shapeMismatch, "'fc.bias'", "[2]", "[3]") { try make(nodes: nodes, parameters: parameters) }
        parameters["fc.bias"] = Parameter(role: .beta, tensor: try Tensor(dimensions: [2]))
        assertFails(.shapeMismatch, "beta") { try make(nodes: nodes, parameters: parameters) }
        parameters = network.parameters
        parameters["other.bias"] = parameters["fc.bias"]
        assertFails(.invalidArgument, "'other.bias' belongs to no layer") {
            try make(nodes: nodes, parameters: parameters)
        }
    }

    func testParametersAreValues() throws {
        let network = try small().build(outputs: [5], seed: 1)
        var changed = network
        try changed.setParameter("fc.bias", Tensor(dimensions: [2], values: [5, 6]))
        XCTAssertEqual(changed.parameters["fc.bias"]?.tensor.values, [5, 6])
        XCTAssertEqual(network.parameters["fc.bias"]?.tensor.values, [0, 0])
        assertFails(.notFound, "'fc.gamma'") { try changed.setParameter("fc.gamma", Tensor(dimensions: [2])) }
        assertFails(.shapeMismatch, "[2]", "[1, 2]") {
            try changed.setParameter("fc.bias", Tensor(dimensions: [1, 2]))
        }
        assertFails(.shapeMismatch, "needs 2 values") { try Tensor(dimensions: [2], values: [1]) }
        assertFails(.invalidArgument) { try Tensor(dimensions: [-1]) }
        assertFails(.invalidArgument) { try Tensor(dimensions: [.max, .max]) }
    }

    /// A flattened map ties the weights to the image size; a pooled one does not.
    func testOtherImageSizes() throws {
        var builder = NetworkBuilder()
        let input = try builder.addInput(h: 4, w: 4, c: 2)
        let value = try builder.add(Linear(channels: 3), name: "fc", builder.add(Flatten(), input))
        let tied = try builder.build(outputs: [value])
        XCTAssertNoThrow(try tied.shapes(n: 5, h: 4, w: 4))
        XCTAssertNoThrow(try tied.shapes(n: 5, h: 2, w: 8))
        assertFails(.shapeMismatch, "layer 'fc'", "5x4", "[40, 3]", "[32, 3]") { try tied.shapes(n: 1, h: 5) }
        assertFails(.shapeMismatch, "fc.weight") { try NetworkSummary(tied, h: 8, w: 8) }
        let free = try small().build(outputs: [5])
        XCTAssertEqual(try free.shapes(n: 2, h: 3, w: 9)[1], Shape(n: 2, h: 3, w: 9, c: 4))
    }

    func testSummary() throws {
        let summary = try NetworkSummary(small().build(outputs: [5]), n: 2)
        XCTAssertEqual(summary.parameters, 9 * 3 * 4 + 4 + 4 * 2 + 2)
        XCTAssertEqual(summary.macs, 2 * (6 * 5 * 9 * 3 * 4 + 4 * 2))
        XCTAssertEqual(summary.activationBytes, 2 * 4 * (3 * 6 * 5 * 4 + 4 + 2))
        XCTAssertEqual(summary.layers.map(\.sources.count), [1, 1, 2, 1, 1])
        let json = try JSON(parsing: summary.jsonText)
        XCTAssertEqual(json["parameters"]?.integerValue, summary.parameters)
        XCTAssertEqual(json["input_shape"], [2, 6, 5, 3])
        XCTAssertEqual(json["output_shape"], [2, 1, 1, 2])
        XCTAssertEqual(json["layers"]?.listValue?.count, 5)
        XCTAssertEqual(json["layers"]?.listValue?[2]["inputs"], ["first", "relu_1"])
        let lines = summary.text.split(separator: "\n")
        XCTAssertEqual(lines.count, 1 + 5 + 2 + 1)
        XCTAssertTrue(lines[1].contains("convolution") && lines[1].contains("[2,6,5,4]") && lines[1].contains("6,480"))
        let dot = summary.dot
        XCTAssertTrue(dot.contains("\"relu_1\" -> \"add_1\";"))
        XCTAssertEqual(dot.split(separator: "\n").count { $0.contains("->") }, 6 + 1)
    }
}
