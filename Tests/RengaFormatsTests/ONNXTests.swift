// ONNXTests.swift: ONNX files put together by hand, whole and broken: values, views and refusals; no damage traps or promises memory.
// Not here: files by other programs (bindings/python/tests/test_onnx*.py, Benchmarks/onnx).
import Foundation
import RengaFormats
import RengaNetwork
import TestSupport
import XCTest

/// Protobuf and ONNX written by hand.
private struct Proto {
    private(set) var bytes: [UInt8] = []

    func number(_ field: Int, _ value: Int) -> Proto { appending(varint(field << 3) + varint(value)) }
    func content(_ field: Int, _ content: [UInt8]) -> Proto {
        appending(varint(field << 3 | 2) + varint(content.count) + content)
    }
    func text(_ field: Int, _ text: String) -> Proto { content(field, Array(text.utf8)) }
    func message(_ field: Int, _ message: Proto) -> Proto { content(field, message.bytes) }

    private func appending(_ more: [UInt8]) -> Proto {
        var copy = self
        copy.bytes += more
        return copy
    }
    private func varint(_ value: Int) -> [UInt8] {
        var (rest, bytes) = (UInt64(bitPattern: Int64(value)), [UInt8]())
        repeat {
            bytes.append(UInt8(rest & 0x7F) | (rest > 0x7F ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
        return bytes
    }
}

private func tensor(_ name: String, _ dimensions: [Int], _ values: [Float]) -> Proto {
    let raw = values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
    return dimensions.reduce(Proto()) { $0.number(1, $1) }.number(2, 1).text(8, name).content(9, raw)
}

private func node(_ type: String, _ inputs: [String], _ output: String, _ attributes: [Proto] = []) -> Proto {
    let named = inputs.reduce(Proto()) { $0.text(1, $1) }.text(2, output).text(3, output).text(4, type)
    return attributes.reduce(named) { $0.message(5, $1) }
}

private func value(_ name: String, _ dimensions: [Int]) -> Proto {
    let shape = dimensions.reduce(Proto()) { $0.message(1, $1 == 0 ? Proto().text(2, "n") : Proto().number(1, $1)) }
    return Proto().text(1, name).message(2, Proto().message(1, Proto().number(1, 1).message(2, shape)))
}

private func model(
    _ nodes: [Proto], _ tensors: [Proto], _ shape: [Int], output: String = "y", operatorSet: Int = 13
) -> [UInt8] {
    var graph = nodes.reduce(Proto()) { $0.message(1, $1) }
    graph = tensors.reduce(graph) { $0.message(5, $1) }.message(11, value("x", shape)).message(12, value(output, []))
    return Proto().number(1, 8).message(7, graph).message(8, Proto().number(2, operatorSet)).bytes
}

private func read(_ bytes: [UInt8], _ options: Attributes = [:]) throws(RengaError) -> ONNXImport {
    try bytes.withUnsafeBufferPointer { (bytes) throws(RengaError) in
        try ONNXImport(bytes: UnsafeRawBufferPointer(bytes), options: options)
    }
}

final class ONNXTests: XCTestCase {
    /// Conv, Relu, Flatten, Gemm on [N,2,3,3]: what damage is done to below.
    private var whole: [UInt8] {
        let weight = (0..<24).map { Float($0) / 8 }
        return model(
            [
                node("Conv", ["x", "w", "b"], "a"), node("Relu", ["a"], "r"), node("Flatten", ["r"], "f"),
                node("Gemm", ["f", "v"], "y", [Proto().text(1, "transB").number(20, 2).number(3, 1)]),
            ],
            [
                tensor("w", [3, 2, 2, 2], weight), tensor("b", [3], [1, 2, 3]),
                tensor("v", [2, 12], (0..<24).map { Float($0) }),
            ], [0, 2, 3, 3])
    }

    func testWeightsTakeTheirPlaces() throws {
        let result = try read(whole)
        let network = try result.get()
        XCTAssertEqual(network.nodes.map(\.op.name), ["convolution", "relu", "flatten", "linear"])
        XCTAssertEqual(network.inputs.map { [$0.h, $0.w, $0.c] }, [[3, 3, 2]])
        let weight = try XCTUnwrap(network.parameters["a.weight"]?.tensor)
        XCTAssertEqual(weight.dimensions, [2, 2, 2, 3])
        // [K,C,R,S] became [R,S,C,K].
        for index in 0..<24 {
            let (k, c, r, s) = (index / 8, index / 4 % 2, index / 2 % 2, index % 2)
            XCTAssertEqual(weight.values[((r * 2 + s) * 2 + c) * 3 + k], Float(index) / 8)
        }
        let rows = try XCTUnwrap(network.parameters["y.weight"]?.tensor)
        XCTAssertEqual(rows.dimensions, [12, 2])
        // Element (c, h, w) of the flattened [N,C,H,W] is row (h, w, c) here.
        for index in 0..<12 {
            let (c, h, w) = (index / 4, index / 2 % 2, index % 2)
            for k in 0..<2 { XCTAssertEqual(rows.values[((h * 2 + w) * 3 + c) * 2 + k], Float(k * 12 + index)) }
        }
        XCTAssert(result.refusal.isEmpty)
    }

    func testEveryNodeThatIsNotUnderstoodIsNamed() throws {
        let result = try read(
            model(
                [node("Erf", ["x"], "a"), node("Relu", ["a"], "b"), node("Conv", ["x", "x"], "y")], [], [1, 2, 3, 3]))
        XCTAssertNil(result.network)
        XCTAssert(result.refusal.contains("2 of its 3 nodes"), result.refusal)
        XCTAssert(result.refusal.contains("'a' (Erf)") && result.refusal.contains("'y' (Conv)"), result.refusal)
        expect(.unsupported) { _ = try result.get() }
    }

    func testOtherOperatorSetsAreRefused() throws {
        for version in [0, 5, 99] {
            expect(.unsupported) {
                _ = try read(model([node("Relu", ["x"], "y")], [], [1, 2], operatorSet: version))
            }
        }
    }

    func testSizesThatTheDataDoNotHaveAreRefused() throws {
        let liar = tensor("w", [1 << 20, 1 << 15, 3, 3], [1, 2, 3, 4])
        expect(.corruptData) { _ = try read(model([node("Conv", ["x", "w"], "y")], [liar], [1, 2, 3, 3])) }
        let overflow = tensor("w", [.max, .max, 2, 2], [1])
        expect(.corruptData) { _ = try read(model([node("Conv", ["x", "w"], "y")], [overflow], [1, 2, 3, 3])) }
        let negative = tensor("w", [-1, -4], [1, 2, 3, 4])
        expect(.corruptData) { _ = try read(model([node("MatMul", ["x", "w"], "y")], [negative], [1, 2])) }
    }

    /// Few bytes that ask for much: one weight used by every node, a fill of a huge shape, scales as wide as an input says it is.
    func testSmallFilesGetLittleMemory() throws {
        let fill = Proto().number(1, 3).number(2, 7).text(8, "s")
            .content(9, [3, 2, 1].flatMap { exponent in (0..<8).map { UInt8($0 == exponent ? 255 : 0) } })
        let filled = try read(
            model([node("ConstantOfShape", ["s"], "c"), node("Add", ["x", "c"], "y")], [fill], [1, 2]))
        XCTAssertNil(filled.network)
        let wide = (0..<64).map { index in
            node("Gemm", [index == 0 ? "x" : "v\(index - 1)", "w"], index == 63 ? "y" : "v\(index)")
        }
        let square = tensor("w", [512, 512], [Float](repeating: 0, count: 512 * 512))
        // Each layer has weights of its own, 64 times those of the file: the most there may be.
        XCTAssertNotNil(try read(model(wide, [square], [1, 512])).network)
        let scaled = try? read(
            model(
                (0..<200).map { node("PRelu", [$0 == 0 ? "x" : "v\($0 - 1)", "a"], $0 == 199 ? "y" : "v\($0)") },
                [tensor("a", [1], [2])], [1, 1 << 20]))
        XCTAssertNil(scaled?.network, "200 times 4 MB of slopes out of a few kilobytes")
    }

    func testDamagedFilesAreReadOrRefused() throws {
        let whole = whole
        var mutations = Mutations(seed: 11)
        var refused = 0
        for _ in 0..<6000 {
            do {
                let result = try read(mutations.next(of: whole))
                if result.network == nil {
                    refused += 1
                    XCTAssertFalse(result.refusal.isEmpty)
                }
            } catch {
                refused += 1
                XCTAssert([.corruptData, .unsupported].contains(error.status), "\(error.status) \(error.message)")
                XCTAssertFalse(error.message.isEmpty)
            }
        }
        XCTAssertGreaterThan(refused, 2000)
    }

    /// The fuzzer's corpus: small files of every group of operators, and broken ones that it found. Damaged further, too.
    func testTheFuzzersFilesAreReadOrRefused() throws {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let folder = tests.appendingPathComponent("Fuzz/corpus/onnx").path
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".onnx") }
            .sorted()
        XCTAssertGreaterThan(names.count, 15)
        var mutations = Mutations(seed: 12)
        for name in names {
            let whole = [UInt8](try XCTUnwrap(FileManager.default.contents(atPath: "\(folder)/\(name)")))
            let result = try? read(whole)
            if !name.hasPrefix("broken"), name != "external.onnx" {
                XCTAssertNotNil(result?.network, "\(name): \(result?.refusal ?? "not read")")
            }
            for _ in 0..<200 { _ = try? read(mutations.next(of: whole)) }
        }
    }

    func testEveryTruncationIsReadOrRefused() throws {
        let whole = whole
        for count in 0..<whole.count {
            let result = try? read(Array(whole[..<count]))
            XCTAssertNil(result?.network, "\(count) of \(whole.count) bytes are no network")
        }
    }
}
