// RandomNetworkTests.swift: networks of random structure: values with any number of readers, in any order, through every way of planning.
// Not here: the operators' own forms (Cases).
import CRengaKernels
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

final class RandomNetworkTests: XCTestCase {
    /// A network of about `size` random layers on 5 x 6 maps, each reading any values before it that fit.
    private func network(_ seed: UInt64, size: Int) throws -> Network {
        var random = TestRandom(seed)
        var net = try Layers(h: 5, w: 6, c: 3)
        var values = [net.last]
        func pick() -> ValueID { values[random.index(values.count)] }
        func channels(_ value: ValueID) throws -> Int { try net.builder.shape(of: value).c }
        for _ in 0..<size {
            let value = pick()
            let c = try channels(value)
            let peers = try values.filter { try channels($0) == c }
            let terms = (0..<(2 + random.index(2))).map { _ in peers[random.index(peers.count)] }
            switch random.index(14) {
            case 0, 1:
                try net.add(
                    "convolution", ["channels": "\(2 + random.index(3))", "kernel": "3", "pad": "1"], from: [value])
            case 2: try net.add("convolution", ["channels": "\(c)", "kernel": "1", "bias": "no"], from: [value])
            case 3, 4: try net.add("batch_norm", [:], from: [value])
            case 5, 6: try net.add("relu", [:], from: [value])
            case 7: try net.add("prelu", [:], from: [value])
            case 8, 9: try net.add("add", from: terms)
            case 10: try net.add("mean", from: terms)
            case 11: try net.add("concat", from: [value, pick()])
            case 12: try net.add("max_pool", ["kernel": "3", "pad": "1"], from: [value])
            default: try net.add("channel_slice", ["begin": "\(c - 1)", "count": "1"], from: [value])
            }
            values.append(net.last)
        }
        // Everything reaches the end, so nothing is left out.
        try net.add("concat", from: Array(values.dropFirst().suffix(20)))
        return try net.classifier(seed: seed)
    }

    func testEveryWayOfPlanningAgrees() throws {
        for seed in 0..<24 as Range<UInt64> {
            let network = try network(seed, size: 6 + Int(seed % 12))
            let what = "seed \(seed)"
            let check = try GradientCheck(network, n: 2, seed: seed)
            var options = SessionOptions()
            (options.batch, options.threads, options.serialWhereSmall) = (2, 2, false)
            let usual = try Session(network, options).run([check.images], n: 2)[0]
            options.reuseMemory = false
            XCTAssertEqual(try Session(network, options).run([check.images], n: 2)[0], usual, what)
            let source = ReferenceMap(try network.shapes(n: 2)[0], check.images.map(Double.init))
            let expected = try ReferenceInterpreter(network).run([source])[network.outputs[0]]
            assertClose(usual, expected.values.map { Float($0) }, absolute: 1e-4, relative: 1e-4, what)

            let plan = try check.plan()
            let apart = try check.plan { $0.reuseMemory = false }
            let unfused = try check.plan(threads: 1) { $0.fuse = false }
            let loss = try plan.run(check.images, check.labels).loss
            XCTAssertEqual(try apart.run(check.images, check.labels).loss, loss, what)
            XCTAssertEqual(try unfused.run(check.images, check.labels).loss, loss, accuracy: 1e-4, what)
            XCTAssertEqual(plan.gradientsByName, apart.gradientsByName, what)
            for (name, gradient) in plan.gradientsByName {
                assertClose(
                    gradient, unfused.gradientsByName[name] ?? [], absolute: 1e-4, relative: 1e-3, "\(what): \(name)")
            }
            try check.checkOneDirection(plan, what)
        }
    }
}
