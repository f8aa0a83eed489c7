// ONNXExportTests.swift: the ONNX file as bytes: it is whole or not there, its parts are where the format says.
// Not here: what ONNX Runtime makes of it (bindings/python/tests/test_onnx_export.py).
import RengaArchitectures
import RengaNetwork
import TestSupport
import XCTest

@testable import RengaFormats

final class ONNXExportTests: XCTestCase {
    private func network() throws -> Network {
        try Architectures.make("cnn", options: Attributes(text: "width=4,classes=3,input=8x8x1"), seed: 1)
    }

    func testBytesAreThoseOfTheGraph() throws {
        let scratch = try Scratch()
        let network = try network()
        let path = "\(scratch.path)/net.onnx"
        try ONNXExport.save(network, to: path, options: ONNXExportOptions(Attributes(text: "opset=19")))
        XCTAssertEqual(scratch.names, ["net.onnx"])
        var model = ProtobufReader(try InputFile(path: path))
        var (fields, numbers, layers): ([Int: Int], [String: Int], [String]) = ([:], [:], [])
        while let field = try model.next() {
            fields[field.number, default: 0] += 1
            if field.number == ONNXSchema.Model.irVersion { XCTAssertEqual(field.integer, 9) }
            guard field.number == ONNXSchema.Model.graph else { continue }
            var graph = model.message(field.range)
            while let part = try graph.next() {
                guard [ONNXSchema.Graph.initializers, ONNXSchema.Graph.nodes].contains(part.number) else { continue }
                var message = model.message(part.range)
                var (name, count) = ("", 0)
                while let inner = try message.next() {
                    if part.number == ONNXSchema.Graph.initializers, inner.number == ONNXSchema.Tensor.name {
                        name = try message.text(inner)
                    }
                    if part.number == ONNXSchema.Graph.initializers, inner.number == ONNXSchema.Tensor.raw {
                        count = inner.range.count
                    }
                    if part.number == ONNXSchema.Graph.nodes, inner.number == ONNXSchema.Node.name {
                        layers.append(try message.text(inner))
                    }
                }
                if count > 0 { numbers[name] = count }
            }
        }
        XCTAssertEqual(fields[ONNXSchema.Model.graph], 1)
        XCTAssertEqual(fields[ONNXSchema.Model.operatorSets], 1)
        XCTAssertEqual(fields[ONNXSchema.Model.metadata], network.metadata.count)
        XCTAssertEqual(numbers, network.parameters.mapValues { 4 * $0.tensor.count })
        XCTAssert(layers.elementsEqual(network.nodes.map(\.name)) || layers.count > network.nodes.count)
        XCTAssert(Set(layers).isSuperset(of: network.nodes.map(\.name)))
    }

    func testWhatIsTooLargeIsRefused() throws {
        let scratch = try Scratch()
        let network = try network()
        let path = "\(scratch.path)/net.onnx"
        try ONNXExport.save(network, to: path, options: ONNXExportOptions())
        let whole = try scratch.read("net.onnx").count
        expect(.unsupported, "\(whole) bytes", "at most \(whole - 1)") {
            try ONNXExport.save(network, to: path, options: ONNXExportOptions(), mostBytes: whole - 1)
        }
        try ONNXExport.save(network, to: path, options: ONNXExportOptions(), mostBytes: whole)
        XCTAssertEqual(try scratch.read("net.onnx").count, whole)
    }

    func testOptions() throws {
        XCTAssertEqual(try ONNXExportOptions().opset, 17)
        let versions = try [13, 15, 19, 21, 23].map { try ONNXExportOptions(["opset": "\($0)"]).irVersion }
        XCTAssertEqual(versions, [7, 8, 9, 10, 11])
        expect(.invalidArgument, "opset", "13...24") { _ = try ONNXExportOptions(["opset": "12"]) }
        expect(.notFound, "ONNX export", "batch") { _ = try ONNXExportOptions(["batch": "1"]) }
    }

    func testNumbersOnTheWire() throws {
        var writer = ProtobufWriter()
        writer.integer(1, 150)
        writer.integer(2, -1)
        writer.float(3, 1.5)
        writer.text(17, "ä")
        XCTAssertEqual(
            writer.bytes,
            [8, 150, 1, 16] + [UInt8](repeating: 255, count: 9) + [1, 29, 0, 0, 192, 63, 138, 1, 2, 195, 164])
    }
}
