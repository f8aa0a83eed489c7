// WidthViewTests: merge-and-run and inception-like blocks as one wider block (Zhao et al. 2016, Figures 4 and 5): the same answers.
// Not here: which of the forms is faster (Benchmarks/).
import RengaArchitectures
import RengaExecution
import RengaNetwork
import RengaRewrites
import TestSupport
import XCTest

final class WidthViewTests: XCTestCase {
    private func run(_ network: Network) throws -> [Float] {
        var random = TestRandom(4)
        let images = network.inputs.map { random.floats(2 * $0.h * $0.w * $0.c) }
        var options = SessionOptions()
        (options.batch, options.threads) = (2, 2)
        return try Session(network, options).run(images, n: 2)[0]
    }

    private func assertSame(_ a: [Float], _ b: [Float]) {
        assertClose(a, b, absolute: 2e-5 * (b.map(\.magnitude).max() ?? 1), relative: 0)
        XCTAssertGreaterThan(Set(b).count, b.count / 2, "the outputs say nothing")
    }

    private func network(_ family: String, _ options: String) throws -> Network {
        var network = try Architectures.make(family, options: Attributes(text: options))
        try network.randomiseParameters(seed: 2)
        return network
    }

    private func values(_ network: Network, _ name: String) throws -> Tensor {
        try XCTUnwrap(network.parameters[name], name).tensor
    }

    /// (i) K streams = one stream of K C channels: branches with K groups, and a fixed 1x1 convolution with M as shortcut.
    func testStreamsAreGroups() throws {
        let (k, c) = (3, 4)
        let streams = try network("dmrnet", "depth=14,branches=\(k),width=\(c),collapse=concat,input=6x7x3")
        let block = "stage1.block2."
        // What goes into the block, and what comes out, from the network itself.
        let nodes = streams.nodes
        func value(_ name: String) throws -> ValueID {
            try XCTUnwrap(nodes.firstIndex { $0.name == name }) + streams.inputs.count
        }
        var before = NetworkStructureParts(streams)
        let into = try before.join((1...k).map { try value("stage1.block1.relu\($0)") })
        var after = NetworkStructureParts(streams)
        let out = try after.join((1...k).map { try value(block + "relu\($0)") })
        let (given, expected) = (try run(before.network(into)), try run(after.network(out)))

        var grouped = try Layers(h: 6, w: 7, c: k * c)
        let conv = ["channels": "\(k * c)", "kernel": "3", "pad": "1", "groups": "\(k)", "bias": "no"]
        try grouped.add("convolution", conv)
        try grouped.add("batch_norm")
        try grouped.add("relu")
        try grouped.add("convolution", conv)
        let residual = try grouped.add("batch_norm")
        let around = try grouped.add("convolution", ["channels": "\(k * c)", "kernel": "1", "bias": "no"], from: [0])
        try grouped.add("add", from: [residual, around])
        try grouped.add("relu")
        var whole = try grouped.network()
        for layer in 1...2 {
            // [R,S,C/G,K]: the filters of the groups stand side by side, as the channels do.
            let weights = try (1...k).map { try values(streams, "\(block)branch\($0).conv\(layer).weight").values }
            try whole.setParameter(
                "convolution_\(layer).weight",
                Tensor(
                    dimensions: [3, 3, c, k * c],
                    values: (0..<9 * c).flatMap { row in weights.flatMap { $0[row * c..<(row + 1) * c] } }))
            for part in ["gamma", "beta", "running_mean", "running_variance"] {
                let parts = try (1...k).flatMap { try values(streams, "\(block)branch\($0).bn\(layer).\(part)").values }
                try whole.setParameter("batch_norm_\(layer).\(part)", Tensor(dimensions: [k * c], values: parts))
            }
        }
        let mixing = (0..<k * c).flatMap { i in (0..<k * c).map { i % c == $0 % c ? 1 / Float(k) : 0 } }
        try whole.setParameter("convolution_3.weight", Tensor(dimensions: [1, 1, k * c, k * c], values: mixing))
        var options = SessionOptions()
        options.batch = 2
        assertSame(try Session(whole, options).run([given], n: 2)[0], expected)
    }

    /// (ii) K summed branches C -> C -> C = one branch C -> K C -> C, once batch norm is folded: first convolutions stand side by side, second
    /// ones are stacked, biases add.
    func testSummedBranchesAreOneWideBranch() throws {
        let (k, c) = (2, 5)
        let original = try network("inception", "depth=8,branches=\(k),width=\(c),input=6x7x3")
        let folded = try FoldBatchNorm.apply(original).network
        var wide = try network("resnet", "depth=8,width=\(c),shortcut=project,input=6x7x3")
        wide = try FoldBatchNorm.apply(wide).network
        // The residual network's blocks, with wider first convolutions.
        var nodes = wide.nodes
        for (index, node) in nodes.enumerated() where node.name.hasSuffix(".conv1") && node.name.hasPrefix("stage") {
            guard var conv = node.op as? Convolution else { continue }
            conv.channels *= k
            nodes[index] = Node(name: node.name, op: conv, inputs: node.inputs)
        }
        let structure = try NetworkStructure(inputs: wide.inputs, nodes: nodes, outputs: wide.outputs)
        var parameters: [String: Parameter] = [:]
        let shapes = try structure.shapes(n: 1)
        for index in nodes.indices {
            for (name, spec) in try structure.parameterSpecs(ofNode: index, shapes: shapes) {
                parameters[name] = Parameter(
                    role: spec.role,
                    tensor: try Tensor(dimensions: spec.dimensions, values: merged(name, spec, folded, k)))
            }
        }
        let merged = try Network(structure: structure, parameters: parameters, metadata: [:])
        assertSame(try run(merged), try run(original))
    }

    /// A parameter of the wide network from those of the branches.
    private func merged(_ name: String, _ spec: ParameterSpec, _ folded: Network, _ k: Int) throws -> [Float] {
        if let own = folded.parameters[name] { return own.tensor.values }
        let parts = try (1...k).map { branch in
            let other = name.replacing(".conv", with: ".branch\(branch).conv", maxReplacements: 1)
            return try values(folded, other).values
        }
        if name.hasSuffix("conv2.bias") { return parts[0].indices.map { i in parts.reduce(0) { $0 + $1[i] } } }
        if name.hasSuffix("bias") { return parts.flatMap { $0 } }
        // Rows of C/G x K floats: outputs side by side (conv1), inputs one below the other within each tap (conv2).
        let taps = 9
        let width = name.hasSuffix("conv1.weight") ? spec.dimensions[3] / k : parts[0].count / taps
        return (0..<parts[0].count / width).flatMap { row in parts.flatMap { $0[row * width..<(row + 1) * width] } }
    }
}

/// A network cut short: its nodes with a concatenation behind any of its values.
private struct NetworkStructureParts {
    private let source: Network
    private var nodes: [Node]

    init(_ source: Network) { (self.source, nodes) = (source, source.nodes) }

    mutating func join(_ values: [ValueID]) throws -> ValueID {
        nodes.append(Node(name: "joined", op: Concat(), inputs: values))
        return source.inputs.count + nodes.count - 1
    }

    func network(_ output: ValueID) throws -> Network {
        try Network(inputs: source.inputs, nodes: nodes, outputs: [output], parameters: source.parameters)
    }
}
