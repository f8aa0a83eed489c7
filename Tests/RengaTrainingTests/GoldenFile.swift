// GoldenFile.swift: reads Tests/golden: PyTorch's numbers, and the networks that they belong to.
// By Foundation's JSON reader and not by RengaFormats: a fault of ours must not be able to hide here.
import Foundation
import RengaArchitectures
import RengaNetwork
import XCTest

/// One golden file (Tests/golden/generate.py says what is in it).
struct GoldenFile {
    let metadata: [String: String]
    private let entries: [String: (dimensions: [Int], range: Range<Int>)]
    private let data: Data

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("golden")

    /// Opens "operators/relu" and the like.
    init(_ name: String) throws {
        let file = try Data(contentsOf: GoldenFile.folder.appendingPathComponent(name + ".safetensors"))
        let length = file.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        let header = try XCTUnwrap(JSONSerialization.jsonObject(with: file[8..<8 + length]) as? [String: Any])
        metadata = try XCTUnwrap(header["__metadata__"] as? [String: String])
        var entries: [String: (dimensions: [Int], range: Range<Int>)] = [:]
        for (name, value) in header where name != "__metadata__" {
            let entry = try XCTUnwrap(value as? [String: Any])
            let offsets = try XCTUnwrap(entry["data_offsets"] as? [Int])
            let dimensions = try XCTUnwrap(entry["shape"] as? [Int])
            entries[name] = (dimensions, 8 + length + offsets[0]..<8 + length + offsets[1])
        }
        self.entries = entries
        data = file
    }

    /// The files of a folder.
    static func names(in folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: self.folder.appendingPathComponent(folder).path)
            .filter { $0.hasSuffix(".safetensors") }.map { "\(folder)/" + $0.dropLast(".safetensors".count) }.sorted()
    }

    /// The tensors' names, in order.
    var names: [String] { entries.keys.sorted() }

    /// The names behind `prefix`.
    func names(after prefix: String) -> [String] {
        names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }

    func dimensions(_ name: String) throws -> [Int] {
        try XCTUnwrap(entries[name], "\(name) is not in the file").dimensions
    }

    func floats(_ name: String) throws -> [Float] { try words(name).map(Float.init(bitPattern:)) }

    func integers(_ name: String) throws -> [Int32] { try words(name).map(Int32.init(bitPattern:)) }

    private func words(_ name: String) throws -> [UInt32] {
        let bytes = try [UInt8](data[XCTUnwrap(entries[name], "\(name) is not in the file").range])
        return bytes.withUnsafeBytes { raw in
            (0..<raw.count / 4).map { UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)) }
        }
    }
}

// MARK: - Its network

extension GoldenFile {
    /// The network that the file describes, with the parameters of its beginning; answering with `output`, or with its last node.
    func network(output: String? = nil) throws -> Network {
        if let options = metadata["options"] { return try network(ofFamily: options) }
        let src = try dimensions("src")
        var values = ["input": 0]
        var nodes: [Node] = []
        for line in try XCTUnwrap(metadata["nodes"]).split(separator: "\n") {
            let fields = line.split(separator: " ").map(String.init)
            let attributes = try fields[3] == "-" ? [:] : Attributes(text: fields[3])
            let inputs = try fields[2].split(separator: "+").map { try XCTUnwrap(values[String($0)]) }
            nodes.append(Node(name: fields[0], op: try OperatorTable.make(fields[1], attributes), inputs: inputs))
            values[fields[0]] = nodes.count
            if fields[0] == output { break }
        }
        let input = NetworkInput(name: "input", h: src[1], w: src[2], c: src[3])
        return try Network(inputs: [input], nodes: nodes, outputs: [nodes.count], parameters: parameters(of: nodes))
    }

    /// A whole family with the file's parameters: each must be there, and no other.
    private func network(ofFamily options: String) throws -> Network {
        let made = try Architectures.make(XCTUnwrap(metadata["architecture"]), options: Attributes(text: options))
        let parameters = try parameters(of: made.nodes)
        XCTAssertEqual(parameters.keys.sorted(), names(after: "parameter."))
        return try Network(
            inputs: made.inputs, nodes: made.nodes, outputs: made.outputs, parameters: parameters)
    }

    private func parameters(of nodes: [Node]) throws -> [String: Parameter] {
        let roles: [String: ParameterRole] = [
            "weight": .weight, "bias": .bias, "gamma": .gamma, "beta": .beta, "slope": .slope,
            "running_mean": .runningMean, "running_variance": .runningVariance,
        ]
        let known = Set(nodes.map(\.name))
        var parameters: [String: Parameter] = [:]
        for name in names(after: "parameter.") {
            let dot = try XCTUnwrap(name.lastIndex(of: "."))
            guard known.contains(String(name[..<dot])) else { continue }
            let role = try XCTUnwrap(roles[String(name[name.index(after: dot)...])])
            let tensor = try Tensor(dimensions: dimensions("parameter." + name), values: floats("parameter." + name))
            parameters[name] = Parameter(role: role, tensor: tensor)
        }
        return parameters
    }
}

extension GoldenFile {
    /// The recorded gates of a step (0: the step alone, then those of the optimiser), by layer.
    func gates(step: Int) throws -> [String: [Bool]] {
        let lines = try XCTUnwrap(metadata["gates"]).split(separator: "\n")
        let gates = try Attributes(text: String(XCTUnwrap(lines.indices.contains(step) ? lines[step] : nil)))
        return gates.mapValues { $0.map { $0 == "1" } }
    }
}

/// Largest difference relative to the root mean square of `expected`, or to `floor` where that is larger.
func relativeError(_ values: [Float], _ expected: [Float], floor: Double = 1e-6) -> Double {
    guard values.count == expected.count else { return .infinity }
    var squares = 0.0
    var largest = 0.0
    for (value, wanted) in zip(values, expected) {
        squares += Double(wanted) * Double(wanted)
        let difference = abs(Double(value) - Double(wanted))
        guard difference.isFinite else { return .infinity }
        largest = max(largest, difference)
    }
    let scale = (squares / Double(max(expected.count, 1))).squareRoot()
    return largest / max(scale, floor)
}
