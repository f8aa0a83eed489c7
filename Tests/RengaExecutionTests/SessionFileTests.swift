// SessionFileTests.swift: a session straight from a file gives the bits of one made from the network, and there is none where the file is wrong.
// Not here: what a network file may hold (RengaFormatsTests), sessions themselves (SessionTests).
import Glibc
import RengaArchitectures
import RengaExecution
import RengaFormats
import RengaNetwork
import TestSupport
import XCTest

final class SessionFileTests: XCTestCase {
    private func options(batch: Int, threads: Int, _ precision: Precision = .f32) -> SessionOptions {
        var options = SessionOptions()
        (options.batch, options.threads, options.precision) = (batch, threads, precision)
        return options
    }

    /// Of a full batch and of a smaller one, whose plan comes when the file is long closed.
    private func assertSameBits(_ test: Case, _ options: SessionOptions, in scratch: Scratch) throws {
        let path = "\(scratch.path)/net.renga"
        try NetworkFile(test.network).save(to: path)
        let session = try Session(path: path, options)
        let expected = try Session(test.network, options)
        XCTAssertEqual(remove(path), 0)
        var random = TestRandom(8)
        for n in [options.batch, 1] {
            let images = test.network.inputs.map { random.floats(n * $0.h * $0.w * $0.c) }
            let (found, wanted) = (try session.run(images, n: n), try expected.run(images, n: n))
            XCTAssertEqual(
                found.map { $0.map(\.bitPattern) }, wanted.map { $0.map(\.bitPattern) }, "\(test.name), \(n) images")
        }
        XCTAssertEqual(session.memory.weights, expected.memory.weights, test.name)
        XCTAssertEqual(session.steps, expected.steps, test.name)
    }

    func testEveryOperator() throws {
        let scratch = try Scratch()
        for test in try Cases.all() { try assertSameBits(test, options(batch: 2, threads: 2), in: scratch) }
    }

    /// Weights of more than a piece, in both precisions, by any number of threads.
    func testLargerNetworks() throws {
        let scratch = try Scratch()
        let networks: [(String, Attributes)] = [
            ("resnet", ["depth": "20", "width": "3"]), ("vgg", ["depth": "11", "input": "32x32x3", "classes": "10"]),
            ("resnext", ["depth": "29", "groups": "8", "width": "4"]),
        ]
        for (name, attributes) in networks {
            let test = Case(name: name, network: try Architectures.make(name, options: attributes, seed: 6))
            for (precision, threads) in [(Precision.f32, 1), (.f32, 3), (.bf16, 2)] {
                try assertSameBits(test, options(batch: 2, threads: threads, precision), in: scratch)
            }
        }
        var bare = options(batch: 1, threads: 2)
        bare.foldBatchNorm = false
        let network = try Architectures.make("resnet", options: ["depth": "8"], seed: 2)
        try assertSameBits(Case(name: "not folded", network: network), bare, in: scratch)
    }

    /// One bit anywhere, in what the session needs and in what it does not; and every end cut off.
    func testDamageIsFound() throws {
        let scratch = try Scratch()
        let network = try Architectures.make("resnet", options: ["depth": "8", "classes": "10"], seed: 3)
        let state = try Tensor(dimensions: [300, 50], values: [Float](repeating: 0.5, count: 15_000))
        let path = "\(scratch.path)/net.renga"
        try NetworkFile(network, tensors: ["state": state]).save(to: path)
        let whole = try scratch.read("net.renga")
        XCTAssertNoThrow(try Session(path: path))
        var random = TestRandom(12)
        for round in 0..<160 {
            var bytes = whole
            if round % 4 == 0 {
                bytes.removeLast(1 + random.index(bytes.count))
            } else {
                bytes[random.index(bytes.count)] ^= 1 << UInt8(random.index(8))
            }
            _ = try scratch.write("net.renga", bytes)
            XCTAssertThrowsError(try Session(path: path)) { error in
                let error = error as? RengaError
                XCTAssert(error?.status == .corruptData || error?.status == .unsupported, error?.message ?? "")
                XCTAssert(error?.message.contains("net.renga") == true, error?.message ?? "")
            }
        }
    }

    /// What is in no step of a plan is checked as well: the last layer is no output's.
    func testWeightsThatNobodyReadsAreChecked() throws {
        var builder = NetworkBuilder()
        let input = try builder.addInput(h: 4, w: 4, c: 2)
        let used = try builder.add(Convolution(attributes: ["channels": "3", "kernel": "3"]), name: "used", input)
        _ = try builder.add(Convolution(attributes: ["channels": "40", "kernel": "3"]), name: "idle", input)
        let network = try builder.build(outputs: [used], initialization: .heFanIn, seed: 5)
        let scratch = try Scratch()
        let path = "\(scratch.path)/net.renga"
        try NetworkFile(network).save(to: path)
        XCTAssertNoThrow(try Session(path: path))
        var bytes = try scratch.read("net.renga")
        let idle = try XCTUnwrap(network.parameters["idle.weight"]).tensor.values
        let start = try XCTUnwrap(
            bytes.indices.first { place in
                bytes[place...].starts(with: idle.prefix(4).flatMap { withUnsafeBytes(of: $0, Array.init) })
            })
        bytes[start] ^= 1
        _ = try scratch.write("net.renga", bytes)
        expect(.corruptData, "idle.weight") { _ = try Session(path: path) }
    }

    /// A file that ends or changes between its header and its weights.
    func testAFileThatChangesMeanwhile() throws {
        let scratch = try Scratch()
        let network = try Architectures.make("resnet", options: ["depth": "8"], seed: 3)
        let path = "\(scratch.path)/net.renga"
        try NetworkFile(network).save(to: path)
        let (_, pending) = try NetworkFile.open(path: path)
        let weight = try XCTUnwrap(pending["fc.weight"])
        XCTAssertEqual(try weight.load().values, network.parameters["fc.weight"]?.tensor.values)
        XCTAssertEqual(truncate(path, 1000), 0)
        expect(.corruptData, "ends at byte") { _ = try weight.load() }
    }
}
