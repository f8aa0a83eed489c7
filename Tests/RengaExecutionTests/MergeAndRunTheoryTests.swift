// MergeAndRunTheoryTests: what Zhao et al. 2016 (arXiv 1611.07718) prove about merge-and-run mappings, on running blocks.
// M is the mapping of all streams together, X the streams side by side, F(X) the branches' outputs. ReLU behind sums is off but where said.
// Not here: path lengths (RengaArchitecturesTests), exchanged streams and K = 1 (FamilyIdentityTests).
import RengaExecution
import RengaNetwork
import RengaRewrites
import TestSupport
import XCTest

@testable import RengaArchitectures

final class MergeAndRunTheoryTests: XCTestCase {
    /// Merge-and-run blocks of one stage over streams that are the network's inputs.
    private struct Stage {
        var network: Network
        /// Which outputs are the streams before block t, for t = 0 … blocks: streams[t][k].
        var streams: [[Int]] = []
        /// Which outputs are the branches of block t: branches[t][k].
        var branches: [[Int]] = []
    }

    private func stage(
        _ count: Int, blocks: Int, c: Int = 3, h: Int = 4, w: Int = 5, options: String = "", seed: UInt64 = 1
    ) throws -> Stage {
        let design = try MergeAndRunDesign(
            AttributeReader(
                Attributes(text: "width=\(c),branches=\(count)" + options), DMRNet.attributes, owner: "dmrnet"))
        var stack = LayerStack()
        var now: [ValueID] = []
        for k in 0..<count { now.append(try stack.input(ImageSize(h: h, w: w, c: c), name: "stream\(k)")) }
        let place = BlockPlace(width: c, stride: 1, number: 2, count: 3)
        var (outputs, streams, branches): ([ValueID], [[Int]], [[Int]]) = ([], [], [])
        for block in 0..<blocks {
            now = try stack.scope("block\(block)") { stack throws(RengaError) in
                try design.addBlock(&stack, now, place)
            }
            let nodes = stack.builder.nodes
            let ends = (1...count).compactMap { k in
                nodes.firstIndex { $0.name == "block\(block).branch\(k).bn2" }.map { $0 + count }
            }
            branches.append(Array(outputs.count..<outputs.count + count))
            outputs += ends
            streams.append(Array(outputs.count..<outputs.count + count))
            outputs += now
        }
        var network = try stack.builder.build(outputs: outputs)
        try network.randomiseParameters(seed: seed)
        return Stage(network: network, streams: streams, branches: branches)
    }

    private func run(_ network: Network, _ inputs: [[Float]]) throws -> [[Double]] {
        var options = SessionOptions()
        options.threads = 2
        return try Session(network, options).run(inputs, n: 1).map { $0.map(Double.init) }
    }

    private func inputs(_ stage: Stage, low: Float = -1) -> [[Float]] {
        var random = TestRandom(7)
        return stage.network.inputs.map { random.floats($0.h * $0.w * $0.c, low, 1) }
    }

    /// Makes every branch give zero.
    private func silence(_ network: inout Network) throws {
        for name in network.parameterNames where name.hasSuffix("bn2.gamma") || name.hasSuffix("bn2.beta") {
            try network.setParameter(name, Tensor(dimensions: XCTUnwrap(network.parameters[name]).tensor.dimensions))
        }
    }

    private func mean(_ maps: [[Double]]) -> [Double] {
        maps[0].indices.map { i in maps.reduce(0) { $0 + $1[i] } / Double(maps.count) }
    }

    private func sum(_ maps: [[Double]]) -> [Double] { mean(maps).map { $0 * Double(maps.count) } }

    private func assertSame(_ a: [Double], _ b: [Double], _ what: String) {
        let scale = max(b.map(\.magnitude).max() ?? 1, 1)
        XCTAssertEqual(a.count, b.count)
        for (x, y) in zip(a, b) where !((x - y).magnitude <= 1e-5 * scale) {
            return XCTFail("\(what): \(x), expected \(y)")
        }
    }

    /// M^2 = M = M^T, and its trace is C: the eigenvalue 1 is there C times, 0 is (K - 1) C times, and the spectral norm is 1.
    func testMappingIsAnOrthogonalProjection() throws {
        for count in 1...4 {
            let c = 3
            var stage = try stage(count, blocks: 1, c: c, h: 1, w: 1, options: ",relu=no")
            try silence(&stage.network)
            let size = count * c
            var m = [[Double]](repeating: [], count: size)
            for column in 0..<size {
                let unit = (0..<count).map { k in (0..<c).map { k * c + $0 == column ? Float(1) : 0 } }
                let found = try run(stage.network, unit)
                for (row, value) in stage.streams[0].flatMap({ found[$0] }).enumerated() { m[row].append(value) }
            }
            for row in 0..<size {
                for column in 0..<size {
                    let square = (0..<size).reduce(0) { $0 + m[row][$1] * m[$1][column] }
                    XCTAssertEqual(square, m[row][column], accuracy: 1e-6)
                    XCTAssertEqual(m[row][column], m[column][row], accuracy: 1e-7)
                    XCTAssertEqual(m[row][column], row % c == column % c ? 1 / Double(count) : 0, accuracy: 1e-7)
                }
            }
            XCTAssertEqual((0..<size).reduce(0) { $0 + m[$1][$1] }, Double(c), accuracy: 1e-6)
        }
    }

    /// X_{t+1} = F_t(X_t) + M (sum of F_i(X_i) for t' <= i < t) + M X_{t'}, for every t' <= t.
    func testForwardUnrolling() throws {
        for count in 2...3 {
            let stage = try stage(count, blocks: 5, options: ",relu=no")
            let given = inputs(stage)
            let found = try run(stage.network, given)
            let x = [given.map { $0.map(Double.init) }] + stage.streams.map { $0.map { found[$0] } }
            let f = stage.branches.map { $0.map { found[$0] } }
            for t in 0..<5 {
                for earlier in 0...t {
                    let shared = sum([mean(x[earlier])] + (earlier..<t).map { mean(f[$0]) })
                    for k in 0..<count {
                        assertSame(x[t + 1][k], sum([f[t][k], shared]), "K = \(count), t = \(t), t' = \(earlier)")
                    }
                }
            }
        }
    }

    /// The sum of the streams remembers everything, s' = s + sum of H_k; the difference of two nothing, d' = H_1 - H_2.
    func testSumAndDifferenceStreams() throws {
        let stage = try stage(2, blocks: 4, options: ",relu=no")
        let given = inputs(stage)
        let found = try run(stage.network, given)
        let x = [given.map { $0.map(Double.init) }] + stage.streams.map { $0.map { found[$0] } }
        for t in 0..<4 {
            let h = stage.branches[t].map { found[$0] }
            assertSame(sum(x[t + 1]), sum([sum(x[t])] + h), "sum, t = \(t)")
            assertSame(zip(x[t + 1][0], x[t + 1][1]).map { $0 - $1 }, zip(h[0], h[1]).map { $0 - $1 }, "difference")
        }
    }

    /// With silent branches and inputs >= 0, all streams are the mean after one block and stay so, with ReLU and without.
    func testSilentBranchesLeaveTheMean() throws {
        for relu in ["yes", "no"] {
            var stage = try stage(3, blocks: 3, options: ",relu=\(relu)")
            try silence(&stage.network)
            let given = inputs(stage, low: 0)
            let found = try run(stage.network, given)
            let expected = mean(given.map { $0.map(Double.init) })
            for output in stage.streams.joined() { assertSame(found[output], expected, "relu=\(relu)") }
        }
    }

    /// With silent branches dl/dX_0 = M dl/dX_T for any number of blocks. X_0 are the outputs of linear layers, whose gradient shows dl/dX_0;
    /// dl/dX_T is worked out here from the logits.
    func testGradientsReachEveryEarlierBlockUndamped() throws {
        for blocks in [1, 2, 6] {
            let (count, c, classes, images) = (3, 4, 5, 3)
            let design = try MergeAndRunDesign(
                AttributeReader(
                    Attributes(text: "width=\(c),branches=\(count),relu=no"), DMRNet.attributes, owner: "dmrnet"))
            var stack = LayerStack()
            let image = try stack.input(ImageSize(h: 1, w: 1, c: 6))
            var streams: [ValueID] = []
            for k in 0..<count { streams.append(try stack.add(Linear(channels: c), "begin\(k)", image)) }
            let place = BlockPlace(width: c, stride: 1, number: 2, count: 3)
            for block in 0..<blocks {
                streams = try stack.scope("block\(block)") { stack throws(RengaError) in
                    try design.addBlock(&stack, streams, place)
                }
            }
            let logits = try stack.add(
                Linear(channels: classes), "fc", stack.add(Concat(), "join", sources: streams))
            var network = try stack.builder.build(outputs: [logits])
            try network.randomiseParameters(seed: 3)
            try silence(&network)

            var random = TestRandom(11)
            let src = random.floats(images * 6)
            let labels = [1, 4, 2]
            let plan = try TrainingPlan(network, .init(n: images, threads: 2))
            try plan.run(src, labels)
            var options = SessionOptions()
            options.batch = images
            let answers = try Session(network, options).run([src], n: images)[0]
            let fc = try XCTUnwrap(network.parameters["fc.weight"]).tensor.values  // [K c, classes]
            // dX[k][c] += x (dlogits of the image) as the weight gradient of "begin": [6, c].
            var expected = [Double](repeating: 0, count: 6 * c)
            for n in 0..<images {
                let z = answers[n * classes..<(n + 1) * classes].map(Double.init)
                let total = z.reduce(0) { $0 + exp($1) }
                let dz = z.enumerated().map { (exp($1) / total - ($0 == labels[n] ? 1 : 0)) / Double(images) }
                for channel in 0..<c {
                    // M: the mean over the streams of what each gets from the last layer.
                    let d = (0..<count).reduce(0.0) { sum, k in
                        sum + (0..<classes).reduce(0.0) { $0 + Double(fc[(k * c + channel) * classes + $1]) * dz[$1] }
                    }
                    for i in 0..<6 { expected[i * c + channel] += Double(src[n * 6 + i]) * d / Double(count) }
                }
            }
            for k in 0..<count {
                let found = try XCTUnwrap(plan.gradientsByName["begin\(k).weight"]).map(Double.init)
                XCTAssertGreaterThan(expected.map(\.magnitude).max() ?? 0, 1e-2)
                assertSame(found, expected, "\(blocks) blocks, stream \(k)")
            }
        }
    }
}
