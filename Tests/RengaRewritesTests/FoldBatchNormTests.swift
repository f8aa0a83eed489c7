// FoldBatchNormTests: which batch norms fold and which stay, and that the folded weights are the same map.
// Not here: whole networks run before and after (RengaExecutionTests).
import RengaArchitectures
import RengaNetwork
import RengaRewrites
import TestSupport
import XCTest

final class FoldBatchNormTests: XCTestCase {
    private func values(_ network: Network, _ name: String) throws -> [Double] {
        try XCTUnwrap(network.parameters[name], name).tensor.values.map { Double($0) }
    }

    /// What layer `name` computes from one window of inputs, before any batch norm.
    private func layer(_ name: String, of network: Network, on window: [Double], _ channels: Int) throws -> [Double] {
        let weight = try values(network, "\(name).weight")
        let bias = network.parameters["\(name).bias"] == nil ? nil : try values(network, "\(name).bias")
        return (0..<channels).map { k in
            window.indices.reduce(bias?[k] ?? 0) { $0 + window[$1] * weight[$1 * channels + k] }
        }
    }

    private func batchNorm(_ name: String, of network: Network, on z: [Double], epsilon: Double) throws -> [Double] {
        let mean = try values(network, "\(name).running_mean")
        let variance = try values(network, "\(name).running_variance")
        let gamma = network.parameters["\(name).gamma"] == nil ? nil : try values(network, "\(name).gamma")
        let beta = network.parameters["\(name).beta"] == nil ? nil : try values(network, "\(name).beta")
        return z.indices.map {
            (z[$0] - mean[$0]) / (variance[$0] + epsilon).squareRoot() * (gamma?[$0] ?? 1) + (beta?[$0] ?? 0)
        }
    }

    /// Convolution and linear layer, with and without bias, grouped or not, affine or not, several epsilons: the same map.
    func testFoldedLayersAreTheSameMap() throws {
        for (number, (bias, groups, affine, epsilon)) in [
            (false, 1, true, 1e-5), (true, 1, true, 1e-3), (true, 3, false, 1e-5), (false, 1, false, 0.5),
        ].enumerated() {
            var builder = NetworkBuilder()
            let input = try builder.addInput(h: 5, w: 4, c: 6)
            let norm = BatchNorm(epsilon: epsilon, affine: affine)
            let op = Convolution(channels: 9, window: Window(kernel: 3, stride: 2, pad: 1), groups: groups, bias: bias)
            var value = try builder.add(norm, name: "bn", builder.add(op, name: "conv", input))
            value = try builder.add(GlobalAveragePool(), name: "pool", builder.add(ReLU(), name: "relu", value))
            value = try builder.add(Linear(channels: 4, bias: bias), name: "fc", value)
            value = try builder.add(norm, name: "bn_fc", value)
            var network = try builder.build(outputs: [value])
            try network.randomiseParameters(seed: UInt64(number))
            let (folded, report) = try FoldBatchNorm.apply(network)

            XCTAssertEqual(folded.nodes.map(\.name), ["conv", "relu", "pool", "fc"])
            XCTAssertEqual(folded.nodes.map(\.inputs), [[0], [1], [2], [3]])
            XCTAssertEqual(folded.outputs, [4])
            XCTAssertEqual(Set(folded.parameters.keys), ["conv.weight", "conv.bias", "fc.weight", "fc.bias"])
            XCTAssertEqual((folded.nodes[0].op as? Convolution)?.groups, groups)
            XCTAssertEqual(report.count(.folded), 2)
            XCTAssertEqual(report.entries.first?.detail, "into 'conv'")

            var random = TestRandom(9)
            for (name, normName, rows, channels) in [("conv", "bn", 9 * 6 / groups, 9), ("fc", "bn_fc", 9, 4)] {
                let window = random.floats(rows).map { Double($0) }
                let before = try batchNorm(
                    normName, of: network, on: layer(name, of: network, on: window, channels), epsilon: epsilon)
                let after = try layer(name, of: folded, on: window, channels)
                assertClose(after.map { Float($0) }, before.map { Float($0) }, absolute: 2e-6, relative: 2e-6, name)
            }
        }
    }

    func testTwoBatchNormsFoldIntoOneLayer() throws {
        var builder = NetworkBuilder()
        let input = try builder.addInput(h: 1, w: 1, c: 7)
        let fc = try builder.add(Linear(channels: 3, bias: false), name: "fc", input)
        let last = try builder.add(BatchNorm(), name: "b", builder.add(BatchNorm(epsilon: 0.1), name: "a", fc))
        var network = try builder.build(outputs: [last])
        try network.randomiseParameters(seed: 2)
        let (folded, report) = try FoldBatchNorm.apply(network)
        XCTAssertEqual(folded.nodes.map(\.name), ["fc"])
        XCTAssertEqual(report.count(.folded), 2)
        var random = TestRandom(1)
        let window = random.floats(7).map { Double($0) }
        let first = try batchNorm("a", of: network, on: layer("fc", of: network, on: window, 3), epsilon: 0.1)
        let before = try batchNorm("b", of: network, on: first, epsilon: 1e-5)
        let after = try layer("fc", of: folded, on: window, 3)
        assertClose(after.map { Float($0) }, before.map { Float($0) }, absolute: 2e-6, relative: 2e-6)
    }

    /// Scales go with the convolution, before and behind a batch norm, and into a batch norm that stays; one on the input stays.
    func testScales() throws {
        var builder = NetworkBuilder()
        let input = try builder.addInput(h: 1, w: 1, c: 7)
        var value = try builder.add(Scale(), name: "on_input", input)
        value = try builder.add(Linear(channels: 3), name: "fc", value)
        value = try builder.add(BatchNorm(), name: "b", builder.add(Scale(), name: "a", value))
        value = try builder.add(ReLU(), name: "relu", builder.add(Scale(), name: "c", value))
        value = try builder.add(Scale(), name: "e", builder.add(BatchNorm(), name: "d", value))
        var network = try builder.build(outputs: [value])
        try network.randomiseParameters(seed: 3)
        let (folded, report) = try FoldBatchNorm.apply(network)
        XCTAssertEqual(folded.nodes.map(\.name), ["on_input", "fc", "relu", "d"])
        XCTAssertEqual(report.count(.folded), 4)
        func scaled(_ name: String, _ z: [Double]) throws -> [Double] {
            let (gamma, beta) = (try values(network, "\(name).gamma"), try values(network, "\(name).beta"))
            return z.indices.map { z[$0] * gamma[$0] + beta[$0] }
        }
        var random = TestRandom(1)
        let window = random.floats(7).map { Double($0) }
        let first = try scaled("a", layer("fc", of: network, on: window, 3))
        let before = try scaled("c", batchNorm("b", of: network, on: first, epsilon: 1e-5))
        let after = try layer("fc", of: folded, on: window, 3)
        assertClose(after.map { Float($0) }, before.map { Float($0) }, absolute: 2e-6, relative: 2e-6)
        let one = try scaled("e", batchNorm("d", of: network, on: before, epsilon: 1e-5))
        let other = try batchNorm("d", of: folded, on: before, epsilon: 1e-5)
        assertClose(other.map { Float($0) }, one.map { Float($0) }, absolute: 2e-6, relative: 2e-6)
    }

    func testWhatStaysAndWhy() throws {
        var builder = NetworkBuilder()
        let input = try builder.addInput(h: 3, w: 3, c: 2)
        let conv = Convolution(channels: 2, window: Window(kernel: 1))
        let onInput = try builder.add(BatchNorm(), name: "on_input", input)
        let afterNorm = try builder.add(BatchNorm(), name: "after_norm", onInput)
        let shared = try builder.add(conv, name: "shared", afterNorm)
        let onShared = try builder.add(BatchNorm(), name: "on_shared", shared)
        let sum = try builder.add(Add(), name: "sum", shared, onShared)
        let onSum = try builder.add(BatchNorm(), name: "on_sum", sum)
        let seen = try builder.add(conv, name: "seen", onSum)
        let onSeen = try builder.add(BatchNorm(), name: "on_seen", seen)
        var network = try builder.build(outputs: [onSeen, seen])
        try network.randomiseParameters(seed: 1)
        let (same, report) = try FoldBatchNorm.apply(network)
        XCTAssertEqual(NetworkDescription(same).jsonText, NetworkDescription(network).jsonText)
        XCTAssertEqual(
            same.parameters.mapValues(\.tensor.values), network.parameters.mapValues(\.tensor.values))
        let reasons = Dictionary(uniqueKeysWithValues: report.entries.map { ($0.layer, $0.detail) })
        XCTAssertEqual(report.count(.kept), 5)
        XCTAssertEqual(reasons["on_input"], "it reads an input of the network")
        XCTAssertEqual(reasons["after_norm"], "it follows batch norm 'on_input', which stays")
        XCTAssertEqual(reasons["on_shared"], "'shared' has 2 readers")
        XCTAssertEqual(reasons["on_sum"], "it follows 'sum' (add), not a convolution or linear layer")
        XCTAssertEqual(reasons["on_seen"], "the value before it is an output of the network")
    }

    /// Post-activation networks lose every batch norm; of pre-activation ones those before additions' readers stay.
    func testResidualNetworks() throws {
        for (options, layers, folded, kept) in [
            ("depth=8", 3 * 2 + 1, 7, 0), ("depth=8,shortcut=project", 9, 9, 0),
            ("depth=8,order=pre", 7, 3, 4), ("depth=11,block=bottleneck", 3 * 3 + 1, 10, 0),
        ] {
            let network = try Architectures.make("resnet", options: Attributes(text: options))
            let (result, report) = try FoldBatchNorm.apply(network)
            XCTAssertEqual(network.nodes.count { $0.op is BatchNorm }, layers, options)
            XCTAssertEqual(report.count(.folded), folded, options)
            XCTAssertEqual(report.count(.kept), kept, options)
            XCTAssertEqual(result.nodes.count, network.nodes.count - folded, options)
            XCTAssertEqual(result.metadata, network.metadata)
            XCTAssertEqual(try result.shapes(n: 2).last, try network.shapes(n: 2).last)
        }
    }

    func testIdentitiesGo() throws {
        var builder = NetworkBuilder()
        let input = try builder.addInput(h: 2, w: 2, c: 4)
        var value = input
        for op: any Operator in [
            Dropout(rate: 0.3), Mean(), Concat(), ChannelSlice(begin: 0, count: 4), ChannelPad(),
            MaxPool(window: Window(kernel: 1)), AveragePool(window: Window(kernel: 1)),
        ] { value = try builder.add(op, sources: [value]) }
        value = try builder.add(ReLU(), name: "relu", value)
        for op: any Operator in [
            ChannelSlice(begin: 1, count: 3), ChannelPad(after: 1), AveragePool(window: Window(kernel: 1, stride: 2)),
            Flatten(),
        ] { value = try builder.add(op, sources: [value]) }
        let network = try builder.build(outputs: [value, input])
        let (result, report) = try RemoveIdentities.apply(network)
        XCTAssertEqual(result.nodes.map(\.name), ["relu", "channel_slice_2", "channel_pad_2", "average_pool_2"])
        XCTAssertEqual(result.outputs, [4, 0])
        XCTAssertEqual(report.count(.removed), 8)
        XCTAssertEqual((report.layersBefore, report.layersAfter).0, 12)
        XCTAssertEqual(report.layersAfter, 4)
    }

    func testReportAsTextAndJSON() throws {
        let network = try Architectures.make("resnet", options: ["depth": "8", "order": "pre"])
        let report = try FoldBatchNorm.apply(network).report
        let json = try JSON(parsing: report.jsonText)
        XCTAssertEqual(json["rewrite"], "fold_batch_norm")
        XCTAssertEqual(json["folded"], 3)
        XCTAssertEqual(json["kept"], 4)
        XCTAssertEqual(json["layers"]?.listValue?.count, 7)
        XCTAssertEqual(json["layers_before"]?.integerValue, network.nodes.count)
        XCTAssertEqual(report.text.split(separator: "\n").count, 8)
        XCTAssertTrue(report.text.contains("stage1.block1.bn2  folded: into 'stage1.block1.conv1'"))
    }
}
