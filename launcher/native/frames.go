package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

const (
	maxFrameBytes    = 16 << 20
	frameHeaderBytes = 4
)

// encodeFrame makes a message of a value: its length in four bytes, big-endian, and its JSON.
func encodeFrame(value any) ([]byte, error) {
	var buffer bytes.Buffer
	buffer.Write(make([]byte, frameHeaderBytes))
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	length := buffer.Len() - frameHeaderBytes
	if length > maxFrameBytes {
		return nil, fmt.Errorf("a frame of %d bytes exceeds %d bytes", length, maxFrameBytes)
	}
	frame := buffer.Bytes()
	binary.BigEndian.PutUint32(frame, uint32(length))
	return frame, nil
}

// readFrame returns the JSON of the next message; io.EOF if the stream ended before one.
func readFrame(from io.Reader) ([]byte, error) {
	var header [frameHeaderBytes]byte
	if _, err := io.ReadFull(from, header[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(header[:])
	if length > maxFrameBytes {
		return nil, fmt.Errorf("a frame of %d bytes exceeds %d bytes", length, maxFrameBytes)
	}
	frame := make([]byte, length)
	_, err := io.ReadFull(from, frame)
	return frame, err
}
