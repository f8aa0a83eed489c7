// FusionTests.swift: which nodes run as one step, as a list that people can read.
import RengaArchitectures
import RengaExecution
import RengaNetwork
import RengaRewrites
import TestSupport
import XCTest

final class FusionTests: XCTestCase {
    private func steps(_ network: Network, _ purpose: Purpose, fold: Bool) throws -> [String] {
        let network = fold ? try FoldBatchNorm.apply(network).network : network
        let graph = try Graph(network, n: 1, purpose)
        return try Fusion.steps(graph, purpose).map { $0.description(in: graph) }
    }

    func testPostActivationBlocks() throws {
        let network = try Cases.blocks()[0].network
        XCTAssertEqual(
            try steps(network, .inference, fold: true),
            [
                "convolution_1: convolution(input) + relu",
                "convolution_2: convolution(relu_1) + relu",
                "convolution_3: convolution(relu_2) + add(relu_1) + relu",
                "convolution_4: convolution(relu_3) + relu",
                "convolution_5: convolution(relu_4)",
                "convolution_6: convolution(relu_3) + add(convolution_5) + relu",
                "global_average_pool_1: global_average_pool(relu_5)",
                "linear_1: linear(global_average_pool_1)",
            ])
        XCTAssertEqual(
            Array(try steps(network, .training, fold: false).dropFirst(4).prefix(2)),
            ["convolution_3: convolution(relu_2)", "batch_norm_3: batch_norm(convolution_3) + add(relu_1) + relu"])
    }

    func testPreActivationBlocks() throws {
        let network = try Cases.blocks()[1].network
        let inference = try steps(network, .inference, fold: true)
        XCTAssertEqual(
            Array(inference.prefix(4)),
            [
                "convolution_1: convolution(input)",
                "batch_norm_1: batch_norm(convolution_1) + relu",
                "convolution_2: convolution(relu_1) + relu",
                "convolution_3: convolution(relu_2) + add(convolution_1)",
            ])
        let padded = "convolution_7: convolution(relu_6) + add(average_pool_1 to its first channels)"
        XCTAssertTrue(inference.contains(padded), "\(inference)")
        let training = try steps(network, .training, fold: false)
        XCTAssertTrue(training.contains("convolution_3: convolution(relu_2) + add(convolution_1)"), "\(training)")
    }

    /// The zeros of pyramidal networks' shortcuts are never made, in any plan.
    func testPyramidalNetworksMakeNoZeros() throws {
        let variants: [Attributes] = [
            ["depth": "8"], ["depth": "11", "block": "bottleneck"],
            ["depth": "8", "stochastic_depth": "separate", "gate_closed": "skip"],
            ["depth": "8", "stochastic_depth": "separate", "gate_scope": "sample"],
        ]
        for options in variants {
            let all = options.merging(["alpha": "12", "input": "8x8x3"]) { $1 }
            let network = try Architectures.make("pyramidnet", options: all, seed: 5)
            XCTAssertEqual(network.nodes.filter { $0.op is ChannelPad }.count, 3, "\(options)")
            for precision in [Precision.f32, .bf16] {
                var session = SessionOptions()
                (session.batch, session.precision) = (3, precision)
                let check = try GradientCheck(network, n: 3)
                let plan = try check.plan { $0.precision = precision }
                try plan.run(check.images, check.labels)
                let names =
                    try Session(network, session).profile(runs: 1).map(\.name) + plan.profile(runs: 1).map(\.info.name)
                XCTAssertTrue(names.contains { $0.contains("conv2") }, "\(options)")
                XCTAssertEqual(names.filter { $0.contains("pad") }, [], "\(options)")
            }
        }
    }

    func testValuesWithOtherReadersStayApart() throws {
        var net = try Layers(h: 4, w: 4, c: 2)
        let conv = try net.add("convolution", ["channels": "2", "kernel": "1"])
        let relu = try net.add("relu")
        let sum = try net.add("add", from: [conv, relu])
        let outputs = try net.network([sum, conv])
        XCTAssertEqual(
            try steps(outputs, .inference, fold: true),
            ["convolution_1: convolution(input)", "relu_1: relu(convolution_1)", "add_1: add(convolution_1, relu_1)"])
    }

    /// Two streams that meet in their mean, each of `channels`; `showsMean`: the mean is an output, too, and so must be made.
    private func mergeAndRun(_ channels: Int, readers: Int = 2, showsMean: Bool = false) throws -> Network {
        var net = try Layers(h: 9, w: 8, c: 3)
        let input = net.last
        let size = ["channels": "\(channels)", "kernel": "3", "pad": "1"]
        var (streams, ends): ([ValueID], [ValueID]) = ([], [])
        for _ in 0..<2 {
            try net.add("convolution", size, from: [input])
            streams.append(try net.add("relu"))
        }
        let mean = try net.add("mean", from: streams)
        for reader in 0..<readers {
            let conv = try net.add("convolution", size, from: [streams[reader % 2]])
            try net.add("add", from: [conv, mean])
            ends.append(try net.add("relu"))
        }
        let end = try net.add("concat", from: ends)
        return try net.network(showsMean ? [end, mean] : [end])
    }

    func testMeansOfTwoAreAddedByTheirReaders() throws {
        XCTAssertEqual(
            try steps(mergeAndRun(5), .inference, fold: true),
            [
                "convolution_1: convolution(input) + relu", "convolution_2: convolution(input) + relu",
                "convolution_3: convolution(relu_1) + add(mean(relu_1, relu_2)) + relu",
                "convolution_4: convolution(relu_2) + add(mean(relu_1, relu_2)) + relu",
                "concat_1: concat(relu_3, relu_4)",
            ])
        for kept in [try mergeAndRun(5, showsMean: true), try mergeAndRun(5, readers: 3)] {
            XCTAssertTrue(try steps(kept, .inference, fold: true).contains("mean_1: mean(relu_1, relu_2)"))
        }
        XCTAssertTrue(try steps(mergeAndRun(5), .training, fold: false).contains("mean_1: mean(relu_1, relu_2)"))
    }

    /// To the bit, whichever algorithm adds the mean or has it made before.
    func testMeansThatAreNeverMadeChangeNoBit() throws {
        var random = TestRandom(3)
        let images = random.floats(5 * 9 * 8 * 3)
        for channels in [3, 16, 33] {
            for precision in [Precision.f32, .bf16] {
                for algorithm in [nil, "direct", "winograd-f2"] {
                    var results: [[Float]] = []
                    for showsMean in [false, true] {
                        var options = SessionOptions()
                        (options.batch, options.threads, options.precision) = (5, 2, precision)
                        if let algorithm { options.algorithm = algorithm }
                        let network = try mergeAndRun(channels, showsMean: showsMean)
                        results.append(try Session(network, options).run([images], n: 5)[0])
                    }
                    XCTAssertEqual(
                        results[0], results[1], "\(channels) channels, \(precision), \(algorithm ?? "as chosen")")
                    XCTAssertGreaterThan(Set(results[0]).count, channels, "the outputs say nothing")
                }
            }
        }
    }

    func testBatchNormDoesNotTakeInItsOwnInput() throws {
        var net = try Layers(h: 4, w: 4, c: 2)
        let input = net.last
        let norm = try net.add("batch_norm")
        try net.add("add", from: [norm, input])
        XCTAssertEqual(
            try steps(try net.network(), .training, fold: false),
            ["batch_norm_1: batch_norm(input)", "add_1: add(batch_norm_1, input)"])
    }

    func testPoolingIsTakenInForInferenceOnly() throws {
        var net = try Layers(h: 9, w: 8, c: 2)
        for pool in [["kernel": "2", "stride": "2"], ["kernel": "2", "stride": "2", "ceil_mode": "yes"]] {
            try net.add("convolution", ["channels": "3", "kernel": "3", "pad": "1"])
            try net.add("relu")
            try net.add("max_pool", pool)
        }
        let network = try net.network()
        XCTAssertEqual(
            try steps(network, .inference, fold: true),
            [
                "convolution_1: convolution(input) + relu + max_pool",
                "convolution_2: convolution(max_pool_1) + relu", "max_pool_2: max_pool(relu_2)",
            ])
        XCTAssertEqual(try steps(network, .training, fold: false).count, 4)
    }

    func testPReLUIsTakenInForInferenceOnly() throws {
        var net = try Layers(h: 4, w: 4, c: 2)
        try net.add("convolution", ["channels": "2", "kernel": "1"])
        try net.add("prelu")
        let network = try net.network()
        XCTAssertEqual(try steps(network, .inference, fold: true), ["convolution_1: convolution(input) + prelu"])
        XCTAssertEqual(try steps(network, .training, fold: false).count, 2)
    }

    func testClipAndHardSwishAreTakenInForInferenceOnly() throws {
        var net = try Layers(h: 4, w: 4, c: 2)
        try net.add("convolution", ["channels": "2", "kernel": "1"])
        try net.add("activation", ["function": "clip", "alpha": "0", "beta": "6"])
        try net.add("convolution", ["channels": "2", "kernel": "1"])
        try net.add("activation", ["function": "hard_swish"])
        try net.add("activation", ["function": "sigmoid"])
        let network = try net.network()
        XCTAssertEqual(
            try steps(network, .inference, fold: true),
            [
                "convolution_1: convolution(input) + clip", "convolution_2: convolution(activation_1) + hard_swish",
                "activation_3: activation(activation_2)",
            ])
        XCTAssertEqual(try steps(network, .training, fold: false).count, 5)
    }
}
