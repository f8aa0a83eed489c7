// FuzzFiles.swift: hostile bytes for every reader: containers, networks, checkpoints, descriptions, data sets, options.
// The input's first byte says which reader. Whatever comes: an answer or an error, never a trap. Not here: the C functions (FuzzInterface).
import FuzzDriver
import Glibc
import Renga

/// Where readers that want a path find the input: memory, not a disk.
private let scratchPath = "/dev/shm/renga-fuzz-\(getpid())"
/// A small label file that fits some image files and not others.
private let labelsPath = scratchPath + "-labels"
private let folderPath = scratchPath + "-folder"

/// The readers, by the input's first byte.
private enum Reader: UInt8, CaseIterable {
    case container, network, checkpoint, description, images, labels, cifar, normalization, options, framed, names,
        weights, session

    /// Those that a run is for: all, or the ones that RENGA_FUZZ_READERS names ("images,labels").
    static let chosen: [Reader] = {
        guard let names = getenv("RENGA_FUZZ_READERS").map({ String(cString: $0).split(separator: ",") }) else {
            return allCases
        }
        return allCases.filter { names.contains(Substring("\($0)")) }
    }()
}

/// One input: its first byte names the reader, the rest is what it reads.
@c
public func LLVMFuzzerTestOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    guard let data, size > 0 else { return 0 }
    // The others' seeds are no input of this run.
    guard let reader = Reader(rawValue: data[0] % UInt8(Reader.allCases.count)), Reader.chosen.contains(reader) else {
        return -1
    }
    let bytes = UnsafeRawBufferPointer(start: data + 1, count: size - 1)
    do {
        try read(bytes, by: reader)
    } catch let error as RengaError {
        // A failure owes its host a sentence, and the engine never blames itself for a file.
        if error.message.isEmpty || error.status == .internalFault { abort() }
    } catch {
        abort()
    }
    return 0
}

private func read(_ bytes: UnsafeRawBufferPointer, by reader: Reader) throws {
    let text = { String(decoding: bytes, as: UTF8.self) }
    switch reader {
    case .container: _ = try SafetensorsFile(bytes: bytes)
    case .network: try use(NetworkFile(bytes: bytes).network)
    case .session:
        try write(bytes, to: scratchPath)
        var options = SessionOptions()
        (options.threads, options.height, options.width) = (1, 8, 8)
        _ = try Session(path: scratchPath, options)
    case .checkpoint:
        try write(bytes, to: scratchPath)
        _ = try Trainer(resuming: scratchPath, options: TrainerOptions(threads: 1)).network()
    case .description: _ = try NetworkSummary(NetworkDescription(parsing: text())).text
    case .images:
        try write(bytes, to: scratchPath)
        _ = try IDX.dataset(images: scratchPath, labels: labelsPath)
    case .labels:
        try write(bytes, to: labelsPath)
        defer { try? writeLabels() }
        _ = try IDX.dataset(images: scratchPath, labels: labelsPath)
    case .cifar:
        try write(bytes, to: folderPath + "/test_batch.bin")
        _ = try DatasetFolder(folderPath).open(.test)
    case .normalization: _ = try Normalization(json: text())
    case .options:
        _ = try Recipe(text: text())
        _ = try Architectures.describe("resnet", options: Attributes(text: text()))
    case .names:
        // A table against a network's names: it may end up anywhere but in a trap.
        try WeightFile.save(Fuzzed.network.get(), to: scratchPath, names: WeightNames(text: text()))
    case .weights:
        try write(bytes, to: scratchPath)
        try use(WeightFile.load(Fuzzed.small.get(), from: scratchPath, names: Fuzzed.pytorch.get()))
    case .framed:
        // The input is the header; its data are zeros: what a file without checksums may say about itself.
        var file = [UInt8](repeating: 0, count: 8 + bytes.count + 4096)
        withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { file.replaceSubrange(0..<8, with: $0) }
        file.replaceSubrange(8..<8 + bytes.count, with: bytes)
        try file.withUnsafeBytes { try use(NetworkFile(bytes: $0).network) }
    }
}

/// The networks of whose parameters tables and foreign files speak.
private enum Fuzzed {
    static let network = Result {
        try Architectures.make("resnet", options: Attributes(text: "depth=8,width=1,classes=2,input=8x8x1"))
    }
    static let small = Result {
        try Architectures.make(
            "cnn", options: Attributes(text: "stages=1,convolutions=1,width=2,classes=2,input=4x4x1"))
    }
    static let pytorch = Result { try WeightNames(text: "pytorch") }
}

/// What a host would do with a network that it read.
private func use(_ network: Network) throws {
    let summary = try NetworkSummary(network)
    _ = try FoldBatchNorm.apply(network)
    guard summary.macs < 1 << 22, summary.activationBytes < 1 << 24 else { return }
    var options = SessionOptions()
    options.threads = 1
    _ = try Session(network, options)
}

// ---- files ----

private func write(_ bytes: UnsafeRawBufferPointer, to path: String) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard file >= 0, Glibc.write(file, bytes.baseAddress, bytes.count) == bytes.count else { abort() }
    close(file)
}

private func writeLabels() throws {
    let labels: [UInt8] = [0, 0, 8, 1, 0, 0, 0, 2, 0, 1]
    try labels.withUnsafeBytes { try write($0, to: labelsPath) }
}

/// Inputs to begin with: valid ones, and the broken files in `corpus`, which the tests read as well. Checksums are renamed: nobody would get
/// past them by chance.
private func writeSeeds(to folder: String, broken corpus: String) throws {
    func seed(_ reader: Reader, _ bytes: [UInt8], _ name: String? = nil) throws {
        let path = "\(folder)/\(reader)-\(name ?? String(bytes.count))"
        try ([reader.rawValue] + bytes).withUnsafeBytes { try write($0, to: path) }
    }
    func unchecked(_ path: String) -> [UInt8] {
        var content: [UInt8] = []
        let file = open(path, O_RDONLY)
        defer { close(file) }
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while case let got = Glibc.read(file, &block, block.count), got > 0 { content += block[..<got] }
        let key = Array("renga.checksum".utf8)
        for start in content.indices.dropLast(key.count) where content[start...].starts(with: key) {
            content[start + 5] = UInt8(ascii: "_")
        }
        return content
    }
    let kinds: [(Reader, String)] = [
        (.images, "idx-images"), (.labels, "idx-labels"), (.cifar, "cifar"), (.container, "safetensors"),
    ]
    for (reader, kind) in kinds {
        guard let listing = opendir("\(corpus)/\(kind)") else { abort() }
        defer { closedir(listing) }
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
                field.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { try seed(reader, unchecked("\(corpus)/\(kind)/\(name)"), name) }
        }
    }
    let network = try Fuzzed.small.get()
    try WeightFile.save(network, to: scratchPath, names: Fuzzed.pytorch.get())
    try seed(.weights, unchecked(scratchPath))
    try NetworkFile(network).save(to: scratchPath)
    let file = unchecked(scratchPath)
    let headerLength = file[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    try seed(.container, file)
    try seed(.network, file)
    try seed(.session, file)
    try seed(.framed, Array(file[8..<8 + headerLength]))
    try Trainer(network, recipe: Recipe(text: "batch=2"), options: TrainerOptions(threads: 1)).save(to: scratchPath)
    try seed(.checkpoint, unchecked(scratchPath))
    try seed(.description, Array(NetworkDescription(network).jsonText.utf8))
    try seed(.images, [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 1, 2, 3, 4])
    try seed(.labels, [0, 0, 8, 1, 0, 0, 0, 2, 0, 1])
    try seed(.cifar, [7] + [UInt8](repeating: 9, count: 3072))
    try seed(.normalization, Array(#"{"mean":[1,2.5],"scale":[0.5,1e-3]}"#.utf8))
    try seed(.names, Array("torchvision\n*.c*=*.conv*,old*=,=fc.*\n# no line".utf8))
    let (half, flag) = (
        #""dtype":"F16","shape":[2],"data_offsets":[0,4]"#, #""dtype":"BOOL","shape":[1],"data_offsets":[4,5]"#
    )
    let narrow = "{\"a\":{\(half)},\"b\":{\(flag)}}"
    let length = withUnsafeBytes(of: UInt64(narrow.utf8.count).littleEndian, Array.init)
    try seed(.container, length + Array(narrow.utf8) + [0, 60, 0, 188, 1])
    try seed(.options, Array("fast,epochs=2,batch=32,learning_rate=0.1,schedule=cosine".utf8))
    try seed(.options, Array("depth=20,classes=10,input=32x32x3,block=bottleneck".utf8))
}

@main
private enum FuzzFiles {
    static func main() throws {
        mkdir(folderPath, 0o700)
        try writeLabels()
        atexit {
            for path in [scratchPath, labelsPath, folderPath + "/test_batch.bin"] { unlink(path) }
            rmdir(folderPath)
        }
        if CommandLine.arguments.count == 4, CommandLine.arguments[1] == "--seeds" {
            return try writeSeeds(to: CommandLine.arguments[2], broken: CommandLine.arguments[3])
        }
        runFuzzer(LLVMFuzzerTestOneInput)
    }
}
