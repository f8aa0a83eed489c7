// Arguments.swift: the checks that every C function shares: pointers, counts, out-parameters, option structs, sources.
// Not here: text (Text.swift), handles (Handles.swift).
import CRengaAPI
import Glibc
import RengaNetwork

/// An out-parameter for a pointer: required, and NULL until the call succeeds.
func cleared<Pointee>(
    _ out: UnsafeMutablePointer<Pointee?>?, _ argument: StaticString
) throws(RengaError) -> UnsafeMutablePointer<Pointee?> {
    guard let out else { throw RengaError(.nullPointer, "\(argument) is NULL") }
    out.pointee = nil
    return out
}

/// An out-parameter for a number or struct: required, and zero until the call succeeds.
func zeroed<Pointee: BitwiseCopyable>(
    _ out: UnsafeMutablePointer<Pointee>?, _ argument: StaticString
) throws(RengaError) -> UnsafeMutablePointer<Pointee> {
    guard let out else { throw RengaError(.nullPointer, "\(argument) is NULL") }
    memset(out, 0, MemoryLayout<Pointee>.size)
    return out
}

/// A required pointer.
func required<Pointer>(_ pointer: Pointer?, _ argument: StaticString) throws(RengaError) -> Pointer {
    guard let pointer else { throw RengaError(.nullPointer, "\(argument) is NULL") }
    return pointer
}

/// A C size as an Int within bounds.
func count(_ value: Int, _ argument: StaticString, in bounds: ClosedRange<Int>) throws(RengaError) -> Int {
    // size_t arrives as Int: what exceeds Int.max arrives negative.
    guard bounds.contains(value) else {
        throw RengaError(.invalidArgument, "\(argument) is \(UInt(bitPattern: value)); expected \(bounds.words)")
    }
    return value
}

/// A signed number within bounds.
func number<Value: BinaryInteger>(
    _ value: Value, _ argument: StaticString, in bounds: ClosedRange<Int>
) throws(RengaError) -> Int {
    guard let exact = Int(exactly: value), bounds.contains(exact) else {
        throw RengaError(.invalidArgument, "\(argument) is \(value); expected \(bounds.words)")
    }
    return exact
}

/// `threads` of an option or argument: nil for 0, the default.
func threadCount(_ threads: Int32, _ argument: StaticString) throws(RengaError) -> Int? {
    let count = try number(threads, argument, in: 0...Int(RENGA_MAX_THREADS))
    return count == 0 ? nil : count
}

extension ClosedRange<Int> {
    /// "1 to 256", or "at least 1" where the upper bound is none.
    var words: String {
        upperBound == Int.max ? "at least \(lowerBound)" : "\(lowerBound) to \(upperBound)"
    }
}

// ---- structs that begin with their size ----

/// Largest struct that a host may believe in: newer headers add fields, but not thousands.
private let largestStruct = 4096

/// Reads an option struct inside the caller's `size`: defaults beyond it; unknown fields of a newer header must be zero.
func read<Options: BitwiseCopyable>(
    _ pointer: UnsafePointer<Options>?, _ argument: StaticString, defaults: Options
) throws(RengaError) -> Options {
    var options = defaults
    guard let pointer else { return options }
    let raw = UnsafeRawPointer(pointer)
    let size = try structSize(raw, argument, alignment: MemoryLayout<Options>.alignment)
    let known = min(size, MemoryLayout<Options>.size)
    for offset in known..<size where raw.load(fromByteOffset: offset, as: UInt8.self) != 0 {
        throw RengaError(
            .unsupported,
            "\(argument) sets a field at byte \(offset) that this older library (\(versionText)) does not know")
    }
    withUnsafeMutableBytes(of: &options) { bytes in
        bytes.copyMemory(from: UnsafeRawBufferPointer(start: raw, count: known))
    }
    return options
}

/// Writes a result struct inside the caller's `size`, which stays as it is.
func fill<Result: BitwiseCopyable>(
    _ pointer: UnsafeMutablePointer<Result>?, _ argument: StaticString, _ body: () throws(RengaError) -> Result
) throws(RengaError) {
    let raw = UnsafeMutableRawPointer(try required(pointer, argument))
    let size = try structSize(UnsafeRawPointer(raw), argument, alignment: MemoryLayout<Result>.alignment)
    let header = MemoryLayout<Int>.size
    memset(raw + header, 0, size - header)
    let result = try body()
    let known = min(size, MemoryLayout<Result>.size)
    withUnsafeBytes(of: result) { bytes in
        guard let base = bytes.baseAddress else { return }
        memcpy(raw + header, base + header, known - header)
    }
}

/// Prepares a struct of the caller's size: zeros, its size, then as many bytes of `defaults` as fit.
func prepare<Struct: BitwiseCopyable>(_ pointer: UnsafeMutablePointer<Struct>?, size: Int, defaults: Struct) {
    guard let pointer, isPossible(size, alignment: MemoryLayout<Struct>.alignment) else { return }
    let raw = UnsafeMutableRawPointer(pointer)
    memset(raw, 0, size)
    withUnsafeBytes(of: defaults) { bytes in
        guard let base = bytes.baseAddress else { return }
        memcpy(raw, base, min(size, bytes.count))
    }
    raw.storeBytes(of: size, as: Int.self)
}

private func isPossible(_ size: Int, alignment: Int) -> Bool {
    size >= MemoryLayout<Int>.size && size <= largestStruct && size % alignment == 0
}

private func structSize(
    _ raw: UnsafeRawPointer, _ argument: StaticString, alignment: Int
) throws(RengaError) -> Int {
    let size = raw.load(as: Int.self)
    guard isPossible(size, alignment: alignment) else {
        throw RengaError(
            .invalidArgument,
            "\(argument)->size is \(UInt(bitPattern: size)), which no version's struct has; call its _init function first"
        )
    }
    return size
}
